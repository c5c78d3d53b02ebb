import { configDefaults, defineConfig } from 'vitest/config'
import { inFull } from './test/support/full.ts'
import { LongestFirst } from './test/support/longest-first.ts'
import { missingPrograms } from './test/support/needs.ts'

const everything = ['test/**/*.test.ts']

/**
 * Tests that change their process (a global provider, the environment, a fake clock, the modules), need a
 * heap of their own to measure, or hold something against it. All others share a few processes, in which
 * what they import is loaded once: a second of processor time a file.
 */
const alone = [
  'test/adoption/*.test.ts',
  'test/cache/file/turn-look.test.ts',
  'test/chaos/chaos.test.ts',
  'test/cli/init.test.ts',
  'test/flags/domain.test.ts',
  'test/provision/*.test.ts',
  'test/sidecar/default-flags.test.ts',
  'test/switch/{breaker,follower}.test.ts',
  'test/telemetry/open-telemetry.test.ts',
  'test/vendors/*.test.ts',
]

/** What is shown of one Redis, once more on Clusters and Sentinels whose parts of their own have tests in `npm test`. */
const repeated = [
  'test/cache/redis/clients-topologies.test.ts',
  'test/switch/{topologies,two-stores-cluster,two-stores-sentinel}.test.ts',
]

/** They look after each test whether a prototype has changed, and measure the thread: one after the other in a process. */
const fuzzers = ['test/fuzz/*.test.ts']

export default defineConfig({
  test: {
    // Said loudly by the global setup, which refuses them under CI.
    exclude: [
      ...configDefaults.exclude,
      ...inFull(repeated, []),
      ...missingPrograms().flatMap(({ files }) => files),
    ],
    globalSetup: ['test/support/global-setup.ts'],
    // Nothing is asserted of time: a test that takes a minute hangs, on a busy machine too.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // On two cores: tests wait for more than half of their time. Six at once starve one another now and then.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'together',
          include: everything,
          exclude: [...alone, ...fuzzers],
          isolate: false,
        },
      },
      { extends: true, test: { name: 'fuzz', include: fuzzers, isolate: false } },
      { extends: true, test: { name: 'alone', include: alone } },
    ],
  },
})
