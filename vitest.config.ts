import { configDefaults, defineConfig } from 'vitest/config'
import { missingPrograms } from './test/support/needs.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Said loudly by the global setup, which refuses them under CI.
    exclude: [...configDefaults.exclude, ...missingPrograms().flatMap(({ files }) => files)],
    globalSetup: ['test/support/global-setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // For what a busy machine does to real processes; vitest marks what passed at the second try.
    retry: 1,
    pool: 'forks',
    maxWorkers: 2,
  },
})
