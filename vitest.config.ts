import { configDefaults, defineConfig } from 'vitest/config'
import { LongestFirst } from './test/support/longest-first.ts'
import { missingPrograms } from './test/support/needs.ts'

const everything = ['test/**/*.test.ts']

/**
 * Tests that leave nothing behind in their process, no variable, global provider or timer: they share one,
 * and what they import is loaded once. Half a second of processor time a file is saved. Whoever changes
 * more than its own objects and files belongs outside.
 */
const together = [
  'test/cache/{*,adapter/*,file/conformance-suite}.test.ts',
  'test/control/{deploy,headline,way-back,walls}.test.ts',
  'test/deploy/*.test.ts',
  'test/flagd/{differences,recorded/flagfile}.test.ts',
  'test/flagfile/*.test.ts',
  'test/flags/{environment,memory}.test.ts',
  'test/guard/{evidence,flag-look,guard,judge,plan,samples,simulation,watching}.test.ts',
  'test/packaging/{check-imports,compose,lockfile}.test.ts',
  'test/rollout/*.test.ts',
  'test/sidecar/{flags-files,request-context,start}.test.ts',
  'test/switch/{deadlines,fences,loads,manners,parts}.test.ts',
]

export default defineConfig({
  test: {
    // Said loudly by the global setup, which refuses them under CI.
    exclude: [...configDefaults.exclude, ...missingPrograms().flatMap(({ files }) => files)],
    globalSetup: ['test/support/global-setup.ts'],
    // Nothing is asserted of time: a test that takes a minute hangs, on a busy machine too.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // On two cores: half of the time tests wait for other processes.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'together', include: together, isolate: false } },
      { extends: true, test: { name: 'alone', include: everything, exclude: together } },
    ],
  },
})
