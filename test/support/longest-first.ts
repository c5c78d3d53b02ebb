import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest, the longest first; the rest in Vitest's own order. */
const LONGEST = [
  'e2e/way-back',
  'guard/guard',
  'control/page',
  'guard/end-to-end',
  'app/start',
  'switch/plain-values',
  'cli/git-target',
  'vendors/contract',
  'deploy/control-group',
  'control/page-outages',
  'app/rollout',
  'chaos/chaos',
  'flags/flagd',
  'cache/redis/clients',
  'fuzz/flags-hell',
  'flagd/recorded/sidecar',
  'rollout/apply',
  'fuzz/sidecar',
  'switch/two-stores-cluster',
  'switch/two-stores',
  'cache/file/damage',
  'guard/command',
  'guard/places',
  'cache/file/bounds',
  'cli/rollout',
  'guard/simulation',
  'adoption/adoption',
  'guard/orders',
  'cache/file/coherence',
  'model/two-stores',
  'fuzz/envelopes',
  'switch/two-stores-sentinel',
  'switch/two-stores-processes',
  'packaging/tarball',
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
