import { integer, item, list, strictNumber, textOf, trimmed } from '../rules/convert.ts'
import { isList } from '../json.ts'
import type { JsonValue } from '../json.ts'
import type { EagerOperator } from './operators.ts'
import { panic, spend } from '../rules/panic.ts'

function concatenated(values: JsonValue): string {
  if (typeof values === 'string') return values
  const parts = list(values)
  if (parts.length === 1) return textOf(parts[0])
  let text = ''
  for (const part of parts) {
    text += textOf(part)
    spend(text.length >> 6)
  }
  return trimmed(text)
}

function part(values: JsonValue): string {
  const parts = list(values)
  const characters = [...textOf(item(parts, 0))]
  spend(characters.length >> 3)
  const length = characters.length
  let from = integer(strictNumber(item(parts, 1)))
  if (from < 0) from += length
  if (from < 0 || from > length) return characters.join('')
  const given = parts.length === 3 ? integer(strictNumber(parts[2])) : length
  const to = Math.min(given < 0 ? length + given : from + given, length)
  return to < from ? panic() : characters.slice(from, to).join('')
}

/** `undefined` unless there are two texts and nothing else. */
function twoTexts(values: JsonValue): readonly [string, string] | undefined {
  if (!isList(values) || values.length !== 2) return undefined
  const [text, affix] = values
  return typeof text === 'string' && typeof affix === 'string' ? [text, affix] : undefined
}

export const TEXTS: Readonly<Record<string, EagerOperator>> = {
  cat: concatenated,
  substr: part,
  starts_with: (values) => {
    const texts = twoTexts(values)
    return texts === undefined ? null : texts[0].startsWith(texts[1])
  },
  ends_with: (values) => {
    const texts = twoTexts(values)
    return texts === undefined ? null : texts[0].endsWith(texts[1])
  },
}
