import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest, the longest first; the rest in Vitest's own order. */
const LONGEST = [
  'e2e/way-back',
  'guard/end-to-end',
  'control/page',
  'guard/guard',
  'chaos/chaos',
  'control/page-outages',
  'switch/two-stores',
  'vendors/contract',
  'app/start',
  'switch/two-stores-cluster',
  'cli/rollout',
  'guard/simulation',
  'flags/flagd',
  'model/two-stores',
  'fuzz/envelopes',
  'switch/two-stores-sentinel',
  'flagd/recorded/sidecar',
  'app/rollout',
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
