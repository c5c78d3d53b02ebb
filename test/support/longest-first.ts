import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest, the longest first; the rest in Vitest's own order. */
const LONGEST = [
  'guard/end-to-end',
  'e2e/way-back',
  'control/page',
  'guard/guard',
  'switch/copy-group',
  'switch/two-stores',
  'app/start',
  'cache/redis/clients-outage',
  'switch/plain-values',
  'flags/flagd',
  'switch/copy',
  'cache/redis/topologies',
  'cli/git-follow',
  'vendors/contract',
  'cli/copy',
  'cli/kubernetes',
  'guard/command',
  'cli/git-target',
  'chaos/chaos',
  'app/rollout',
  'adoption/adoption',
  'cache/redis/clients',
  'deploy/control-group',
  'switch/fences',
  'control/edited',
  'deploy/alerts',
  'switch/private-sides',
  'fuzz/flags-hell',
  'control/page-outages',
  'switch/two-stores-processes',
  'cache/redis/eras',
  'rollout/apply',
  'cli/init',
  'control/api',
  'flagd/recorded/sidecar',
  'deploy/configmap-rollout',
  'fuzz/sidecar',
  'switch/identity',
  'cache/redis/url',
  'rollout/processes',
  'control/page-switches',
  'switch/private-sides-processes',
  'fuzz/http-app',
  'guard/orders',
  'sidecar/watch',
  'switch/outage',
  'flags/live-split',
  'model/model',
  'guard/parts',
  'app/outage',
  'rollout/confirm',
  'packaging/tarball',
  'fuzz/http-control',
  'flags/taken-back',
  'control/metrics',
].map((name) => `/test/${name}.test.ts`)

/**
 * A long file that begins last keeps one process busy while the others have nothing left to do. Vitest
 * learns the order only from an earlier run, which a fresh clone does not have. Files that have a process
 * of their own come first: one between two others ends the process that those would have shared.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((one, other) => shares(one) - shares(other) || rank(one) - rank(other))
  }
}

function shares({ project }: TestSpecification): number {
  if (project.config.isolate) return 0
  return project.name === 'fuzz' ? 1 : 2
}

function rank({ moduleId }: TestSpecification): number {
  const at = LONGEST.findIndex((name) => moduleId.endsWith(name))
  return at === -1 ? LONGEST.length : at
}
