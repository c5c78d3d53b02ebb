import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { FileProvider } from '../../src/flags/source/file-provider.ts'
import { FLAGS_CORPUS, FLAGS_WORDS, HOSTILE_CONTEXTS } from './flags-corpus.ts'
import { fuzzBytes, TIMEOUT } from './fuzzing.ts'
import { guardPrototypes } from './prototypes.ts'

guardPrototypes()

const directory = mkdtempSync(join(tmpdir(), 'switchback-fuzz-provider-'))
const path = join(directory, 'flags.json')
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** With one flag that no damaged file has. */
const GOOD =
  '{"flags":{"sentinel":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}}}'
let provider: FileProvider
let warnings: string[] = []

function save(content: string | Buffer): void {
  writeFileSync(`${path}.new`, content)
  renameSync(`${path}.new`, path)
}

beforeEach(async () => {
  save(GOOD)
  warnings = []
  provider = new FileProvider({ path, onEvent: ({ message }) => warnings.push(message) })
  await provider.initialize()
})
afterEach(() => provider.onClose())

test('whatever the file becomes, a good one is in force again', { timeout: TIMEOUT }, async () => {
  await fuzzBytes(
    { corpus: FLAGS_CORPUS, dictionary: FLAGS_WORDS, usual: 25, mostStallMs: Infinity },
    async (bytes) => {
      const changed = new Promise<void>((resolve) => {
        provider.events.addHandler('PROVIDER_CONFIGURATION_CHANGED' as never, () => resolve())
      })
      save(bytes)
      // Either its flags came, or what they are is refused: then the good ones stand.
      await Promise.race([changed, new Promise((resolve) => setTimeout(resolve, 30))])
      for (const context of HOSTILE_CONTEXTS) {
        for (const flag of ['sentinel', 'use-redis', '__proto__', '\ud800']) {
          const asked = provider.resolveBooleanEvaluation(flag, false, context as never)
          const { value } = await asked.catch(() => ({ value: false }))
          expect(value).toBeTypeOf('boolean')
        }
      }
      save(GOOD)
      await expect
        .poll(async () => (await provider.resolveBooleanEvaluation('sentinel', false, {})).value, {
          interval: 5,
        })
        .toBe(true)
      provider.events.removeAllHandlers()
    },
  )
  for (const warning of warnings) expect(warning.length).toBeLessThan(1_000)
})
