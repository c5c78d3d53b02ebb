import { isList } from '../json.ts'
import type { JsonValue } from '../json.ts'

/** The operators of `sem_ver`. */
export const VERSION_OPERATORS: ReadonlySet<string> = new Set([
  '=',
  '!=',
  '<',
  '<=',
  '>=',
  '>',
  '^',
  '~',
])

interface Version {
  readonly numbers: readonly [major: string, minor: string, patch: string]
  readonly prerelease: readonly string[]
}

const VERSION =
  /^v(0|[1-9]\d*)(?:\.(0|[1-9]\d*)(?:\.(0|[1-9]\d*)(?:-([\dA-Za-z-]+(?:\.[\dA-Za-z-]+)*))?(?:\+[\dA-Za-z-]+(?:\.[\dA-Za-z-]+)*)?)?)?$/

/** `undefined` for what is no version. `1`, `1.2` and a leading `v` are versions to flagd. */
export function versionOf(value: JsonValue): Version | undefined {
  const text = plainText(value)
  if (text === undefined) return undefined
  const found = VERSION.exec(text.startsWith('v') ? text : `v${text.replace(/^V/, '')}`)
  if (found === null) return undefined
  const [, major = '0', minor = '0', patch = '0', tail] = found
  const prerelease = tail === undefined ? [] : tail.split('.')
  if (prerelease.some((part) => /^0\d+$/.test(part))) return undefined
  return { numbers: [major, minor, patch], prerelease }
}

/** Of lists and objects no version can come; Go writes numbers from a million on with an exponent. */
function plainText(value: JsonValue): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value !== 'number' || Math.abs(value) >= 1_000_000) return undefined
  return Object.is(value, -0) ? '-0' : String(value)
}

/** `{"sem_ver": ...}`, its operand evaluated already. */
export function semVer(values: JsonValue): JsonValue {
  if (!isList(values) || values.length !== 3) return null
  const [given, operator, wanted] = values as readonly [JsonValue, JsonValue, JsonValue]
  const [a, b] = [versionOf(given), versionOf(wanted)]
  if (a === undefined || b === undefined) return null
  switch (operator) {
    case '=':
      return compare(a, b) === 0
    case '!=':
      return compare(a, b) !== 0
    case '<':
      return compare(a, b) < 0
    case '<=':
      return compare(a, b) <= 0
    case '>=':
      return compare(a, b) >= 0
    case '>':
      return compare(a, b) > 0
    case '^':
      return a.numbers[0] === b.numbers[0]
    case '~':
      return a.numbers[0] === b.numbers[0] && a.numbers[1] === b.numbers[1]
    default:
      return null
  }
}

function compare(a: Version, b: Version): number {
  for (const index of [0, 1, 2] as const) {
    const order = compareNumbers(a.numbers[index], b.numbers[index])
    if (order !== 0) return order
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0) {
    return Math.sign(b.prerelease.length - a.prerelease.length)
  }
  for (const [index, part] of a.prerelease.entries()) {
    const other = b.prerelease[index]
    if (other === undefined) return 1
    if (part === other) continue
    const [isNumber, otherIsNumber] = [/^\d+$/.test(part), /^\d+$/.test(other)]
    if (isNumber !== otherIsNumber) return isNumber ? -1 : 1
    if (isNumber) return compareNumbers(part, other)
    return part < other ? -1 : 1
  }
  return Math.sign(a.prerelease.length - b.prerelease.length)
}

function compareNumbers(a: string, b: string): number {
  if (a === b) return 0
  if (a.length !== b.length) return a.length < b.length ? -1 : 1
  return a < b ? -1 : 1
}
