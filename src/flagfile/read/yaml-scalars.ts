/** A point in time. flagd writes one otherwise as the name of a member than as a value. */
export class YamlTime {
  readonly value: string
  readonly name: string

  constructor(value: string, name: string) {
    this.value = value
    this.name = name
  }
}

/** Begins like a number or a time; infinity and NaN are left to the library. */
export const MAYBE_NUMBER: RegExp = /^(?![-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)$)[-+.\d]/

const INTEGER = /^([-+]?)(?:0[xX]([\da-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9]\d*))$/
const FLOAT = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/
const POINT_FLOAT = /^\.\d+(?:[eE][-+]?\d+)?$/

/**
 * What flagd's parser makes of a text without quotes that begins like a number: `017` and `0o17` are 15,
 * `1_000` is a number, and what is too large for one is a text.
 */
export function yamlScalar(text: string): number | string | YamlTime {
  if (text.startsWith('.')) return POINT_FLOAT.test(text) ? finite(text) : text
  const time = timeOf(text)
  if (time !== undefined) return time
  const plain = text.replaceAll('_', '')
  const found = INTEGER.exec(plain)
  if (found !== null) {
    const [, sign = '', hexadecimal, binary, octal, decimal = '0'] = found
    const [digits, base] =
      hexadecimal !== undefined
        ? [hexadecimal, 16]
        : binary !== undefined
          ? [binary, 2]
          : octal !== undefined
            ? [octal, 8]
            : [decimal, 10]
    const value = base === 10 ? Number(digits) : Number.parseInt(digits, base)
    // What does not fit into 64 bits is no integer; a decimal one is then a float.
    if (base === 10 || value < 2 ** 64) return sign === '-' && value !== 0 ? -value : value
  }
  return FLOAT.test(plain) ? finite(plain, text) : text
}

function finite(number: string, text = number): number | string {
  const value = Number(number)
  return Number.isFinite(value) ? value : text
}

const TIME =
  /^(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt](\d\d?):(\d\d?):(\d\d?)(?:\.(\d+))?(Z|[-+]\d\d:\d\d))|(?: (\d\d?):(\d\d?):(\d\d?)(?:\.(\d+))?))?$/

function timeOf(text: string): YamlTime | undefined {
  const found = TIME.exec(text)
  if (found === null) return undefined
  const [, year = '', month = '', day = ''] = found
  const [hour = '0', minute = '0', second = '0', part = ''] =
    found[4] === undefined ? found.slice(9) : found.slice(4, 8)
  const zone = found[8] ?? 'Z'
  const of = new Date(Date.UTC(2000, Number(month) - 1, Number(day)))
  of.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  const real = of.getUTCMonth() === Number(month) - 1 && of.getUTCDate() === Number(day)
  if (!real || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined
  const two = (digits: string): string => digits.padStart(2, '0')
  const date = `${year}-${two(month)}-${two(day)}`
  const fraction = part.slice(0, 9).replace(/0+$/, '')
  const clock = `${two(hour)}:${two(minute)}:${two(second)}${fraction === '' ? '' : `.${fraction}`}`
  const utc = zone === 'Z' || zone.endsWith('00:00')
  const offset = zone.replace(':', '')
  return new YamlTime(
    `${date}T${clock}${utc ? 'Z' : zone}`,
    `${date} ${clock} ${utc ? '+0000 UTC' : `${offset} ${offset}`}`,
  )
}
