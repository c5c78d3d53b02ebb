import { describe, expect, it } from 'vitest'
import { type Finding, validate } from '../../src/rollout/index.ts'
import { ANSWERS, contentOf, FILES, type RecordedFile } from '../flagd/recorded/load.ts'

/** What a real flagd did with each file is the measure. */
const read = (file: RecordedFile): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(contentOf(file))
  } catch {
    // Not UTF-8: the commands say so before anything is checked.
    return undefined
  }
}

function found(file: RecordedFile): Finding[] {
  const text = read(file)
  return text === undefined ? [] : validate(text, { name: file.name })
}

const readable = FILES.filter((file) => read(file) !== undefined)

/** The part of a file that is wrong, by its kind: the finding must be on its line. */
const PLACES: readonly (readonly [kind: RegExp, line: RegExp])[] = [
  [/^defaultVariant/, /defaultVariant/],
  [/^variants (?!null|{})/, /"variants"/],
  [/^variants (null|{}) *$/, /defaultVariant/],
  [/^a flag is/, /"new-search"/],
  [/^state /, /"state"/],
  [/^1e999/, /1e999/],
  [/metadata (a|true)/, /"metadata"/],
  [/^\$evaluators/, /\$evaluators/],
  [/^number written/, /new-search/],
]

describe('files that flagd refuses', () => {
  it.each(readable.filter(({ taken }) => !taken).map((file) => [file.kind, file] as const))(
    '%s: an error with its line',
    (kind, file) => {
      const errors = found(file).filter(({ severity }) => severity === 'error')
      const first = errors.find(({ rejected }) => rejected)
      expect(first).toBeDefined()
      expect(first?.code).not.toBe(file.name.endsWith('.json') ? 'refused' : '')
      const place = PLACES.find(([pattern]) => pattern.test(kind))?.[1]
      const lines = (read(file) ?? '').split('\n')
      if (place !== undefined) expect(lines[(first?.line ?? 0) - 1]).toMatch(place)
    },
  )
})

/** Flags that answer with an error for somebody, or give everybody the default whatever the rule says. */
const troubled = new Set(
  ANSWERS.flatMap(({ file, key, v1, ofrep }) => {
    const texts = JSON.stringify([v1, ofrep])
    const unwell = /errorCode|"code":|"reason":"DEFAULT"|varies/.test(texts)
    return unwell ? [`${file} ${key}`] : []
  }),
)

describe('files that flagd takes', () => {
  const taken = readable.filter((file) => file.taken)

  it.each(taken.map((file) => [file.kind, file] as const))(
    '%s: is not said to be refused',
    (kind, file) => {
      // Deeper than this reads a rule nobody: bounded on purpose.
      if (/depth/.test(kind)) return
      expect(found(file).filter(({ rejected }) => rejected)).toEqual([])
    },
  )

  it('get no error where their answers are well', () => {
    const alarms = taken
      .filter((file) => !('schema' in file && file.schema === false) && !/depth/.test(file.kind))
      .flatMap((file) =>
        found(file)
          .filter(
            ({ severity, flag }) => severity === 'error' && !troubled.has(`${file.id} ${flag}`),
          )
          // Of a shared rule: whoever refers to it has an error.
          .filter(
            ({ flag }) => flag !== '' || ![...troubled].some((each) => each.startsWith(file.id)),
          )
          .map(({ code, flag, line }) => `${file.id} ${file.kind}: ${code} ${flag} line ${line}`),
      )
    expect(alarms).toEqual([])
  })
})
