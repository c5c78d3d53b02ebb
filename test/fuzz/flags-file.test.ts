import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { isSwitchbackError } from '../../src/errors.ts'
import { definitionHash, readFlagSet } from '../../src/flagfile/index.ts'
import type { JsonObject } from '../../src/flagfile/index.ts'
import { LoadedFlags } from '../../src/flags/source/loaded-flags.ts'
import { entriesOf, property, sourceTextOf } from '../../src/rollout/file/document.ts'
import { flagNames, type FlagsDocument, readFlags, readText } from '../../src/rollout/index.ts'
import { addPilot, createEvaluator, describe as describeFlag } from '../../src/rollout/index.ts'
import { type FlagsEdit, removePilot, rollBack, setShare } from '../../src/rollout/index.ts'
import { changedLines, type UserContext, validate } from '../../src/rollout/index.ts'
import { sidecarFlags } from '../support/sidecar-flags.ts'
import { FLAGS_CORPUS, FLAGS_WORDS, HOSTILE_CONTEXTS } from './flags-corpus.ts'
import { fuzzBytes, TIMEOUT } from './fuzzing.ts'
import { guardPrototypes } from './prototypes.ts'

guardPrototypes()

const directory = mkdtempSync(join(tmpdir(), 'switchback-fuzz-flags-'))
const file = join(directory, 'flags.json')
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const input = { corpus: FLAGS_CORPUS, dictionary: FLAGS_WORDS }

/** What it returns; `undefined` when it refuses as the product refuses. Anything else fails. */
function orRefusal<T>(call: () => T, codes: readonly string[] = []): T | undefined {
  try {
    return call()
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    if (codes.length > 0) expect(codes).toContain(error.code)
    expect(error.message.length).toBeLessThan(1000)
    return undefined
  }
}

describe('damaged flags files', () => {
  test('are read or refused with a code, checked without an exception', { timeout: TIMEOUT }, () =>
    fuzzBytes({ ...input, usual: 1500 }, (bytes) => {
      const text = bytes.toString()
      const document = orRefusal(() => readFlags(text), ['SB_FLAGS_SYNTAX'])
      const findings = validate(text)
      if (document === undefined) expect(findings).toMatchObject([{ severity: 'error' }])
      for (const { line, column, message, pointer } of findings) {
        expect(line).toBeGreaterThan(0)
        expect(column).toBeGreaterThan(0)
        expect(message.length + pointer.length).toBeLessThan(2000)
      }
    }),
  )

  test('as a file: no byte is taken for another', { timeout: TIMEOUT }, () =>
    fuzzBytes({ ...input, usual: 300 }, async (bytes) => {
      writeFileSync(file, bytes)
      try {
        expect(Buffer.from(await readText(file)).equals(bytes)).toBe(true)
      } catch (error) {
        expect(error).toMatchObject({ code: 'SB_FLAGS_SYNTAX' })
        expect(Buffer.from(bytes.toString()).equals(bytes)).toBe(false)
      }
    }),
  )

  test('are edited in one place or not at all', { timeout: TIMEOUT }, () => {
    let edits = 0
    return fuzzBytes({ ...input, usual: 700 }, (bytes) => {
      const document = orRefusal(() => readFlags(bytes.toString()))
      if (document === undefined) return
      for (const flag of flagNames(document).slice(0, 3)) {
        orRefusal(() => describeFlag(document, flag))
        for (const edit of [
          () => setShare(document, { flag, percent: 33.3 }),
          () => rollBack(document, { flag, disable: false }),
          () => rollBack(document, { flag, disable: true }),
          () => addPilot(document, { flag, attribute: '__proto__', values: ['constructor', '"'] }),
          () => removePilot(document, { flag, attribute: 'plan' }),
        ]) {
          const made = orRefusal(edit)
          if (made === undefined) continue
          edits++
          expectOneFlagChanged(made, flag)
        }
      }
    }).then(() => expect(edits).toBeGreaterThan(200))
  })

  test('are evaluated by their last good state, whoever asks', { timeout: TIMEOUT }, () =>
    fuzzBytes({ ...input, usual: 600 }, (bytes) => {
      const text = bytes.toString()
      const served = orRefusal(() => sidecarFlags(text), ['SB_FLAGS_INVALID'])
      for (const context of HOSTILE_CONTEXTS) {
        for (const key of [...(served?.keys.slice(0, 8) ?? []), '__proto__', 'constructor']) {
          const answer = served?.ask(key, context as JsonObject)
          expect(() => JSON.stringify(answer)).not.toThrow()
        }
      }
      if (served !== undefined) expect(() => JSON.parse(served.text)).not.toThrow()
      const document = orRefusal(() => readFlags(text))
      if (document === undefined) return
      for (const flag of flagNames(document).slice(0, 2)) {
        const evaluate = orRefusal(() => createEvaluator(document, flag))
        for (const context of HOSTILE_CONTEXTS) {
          expect(evaluate?.(context as UserContext) ?? '').toBeTypeOf('string')
        }
      }
    }),
  )

  test('are taken by an application, or refused', { timeout: TIMEOUT }, () =>
    fuzzBytes({ ...input, usual: 500 }, (bytes) => {
      const set = orRefusal(() => readFlagSet(bytes, 'x'), ['SB_FLAGS_INVALID'])
      const flags = new LoadedFlags()
      if (set === undefined) return
      flags.take(bytes, 'x')
      for (const key of ['use-redis', 'a', '__proto__', 'constructor', ...set.flags.keys()]) {
        for (const context of HOSTILE_CONTEXTS) {
          const { value } = flags.resolve('boolean', key, false, context as never)
          expect(value).toBeTypeOf('boolean')
        }
        const flag = set.flags.get(key)
        expect(flags.configuration().hashOf(key)).toBe(flag && definitionHash(flag))
      }
    }),
  )
})

/** Text that is none of the edited flag's is as it was, to the letter. */
function expectOneFlagChanged({ before, after }: FlagsEdit, flag: string): void {
  expect(outside(after, flag)).toEqual(outside(before, flag))
  expect(() => JSON.parse(after.text)).not.toThrow()
  expect(() => changedLines(before.text, after.text)).not.toThrow()
}

function outside(document: FlagsDocument, flag: string): (readonly [string, string])[] {
  const flags = property(document.root, 'flags')
  const rest = entriesOf(document.root).filter(([, node]) => node !== flags)
  return [...rest, ...entriesOf(flags).filter(([key]) => key !== flag)].map(
    ([key, node]) => [key, sourceTextOf(document, node)] as const,
  )
}
