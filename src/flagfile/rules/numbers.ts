const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const HEXADECIMAL = /^([+-]?)0[xX]([\da-fA-F]*)(?:\.([\da-fA-F]*))?[pP]([+-]?\d+)$/
const SPECIAL = /^([+-]?)(?:(inf(?:inity)?)|(nan))$/i
/** Between digits, and in a hexadecimal also between the base and a digit. */
const UNDERSCORES = /(?<=\d)_(?=\d)/g
const UNDERSCORES_IN_HEXADECIMAL = /(?<=[\da-fA-FxX])_(?=[\da-fA-F])/g

/** A text as Go's ParseFloat reads it: hexadecimals and `inf`, but no blanks. `undefined` when it is none. */
export function parseGoFloat(text: string): number | undefined {
  const decimal = text.includes('_') ? text.replaceAll(UNDERSCORES, '') : text
  if (DECIMAL.test(decimal)) return Number(decimal)
  const special = SPECIAL.exec(text)
  if (special !== null) {
    if (special[3] !== undefined) return special[1] === '' ? Number.NaN : undefined
    return special[1] === '-' ? -Infinity : Infinity
  }
  const found = HEXADECIMAL.exec(text.replaceAll(UNDERSCORES_IN_HEXADECIMAL, ''))
  if (found === null) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = found
  if (whole + fraction === '') return undefined
  const digits = Number(`0x${whole}${fraction}`)
  const value = digits * 2 ** (Number(exponent) - 4 * fraction.length)
  return sign === '-' ? -value : value
}

/** A number as Go writes it without an exponent: the shortest digits, and zeros. */
export function plainDecimal(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  if (Object.is(value, -0)) return '-0'
  const text = String(value)
  const found = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text)
  if (found === null) return text
  const [, sign = '', first = '', fraction = '', exponent = '0'] = found
  const digits = first + fraction
  const power = Number(exponent)
  if (power < 0) return `${sign}0.${'0'.repeat(-power - 1)}${digits}`
  return sign + digits.padEnd(power + 1, '0')
}
