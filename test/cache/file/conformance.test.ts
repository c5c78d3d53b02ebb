import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, test } from 'vitest'
import { fileCache } from '../../../src/cache/index.ts'
import { backendConformance } from '../../../src/cache/testing/index.ts'

const directory = mkdtempSync(join(tmpdir(), 'switchback-conformance-'))
afterAll(() => rmSync(directory, { recursive: true }))

describe('FileCache conforms', () => {
  for (const { name, run } of backendConformance(
    ({ namespace, tombstoneTtl }) => fileCache({ directory, name: namespace, tombstoneTtl }),
    {
      ledger: true,
      outOfReach: () => fileCache({ directory: import.meta.filename }),
    },
  )) {
    test.concurrent(name, run)
  }
})
