import { createRequire } from 'node:module'
import type { JsonValue } from './json.ts'

type Yaml = typeof import('yaml')

let library: Yaml | undefined

/** Loaded when the first YAML is read: an application with JSON needs no parser of YAML. */
function yaml(): Yaml {
  library ??= createRequire(import.meta.url)('yaml') as Yaml
  return library
}

/** The name decides, as for flagd. */
export function isYaml(name: string): boolean {
  return /\.ya?ml$/i.test(name)
}

/**
 * The JSON that flagd makes of a YAML file.
 *
 * @throws Error that goes on from the name of the file
 */
export function jsonOfYaml(text: string): string {
  if (text === '') return ''
  const { parseAllDocuments } = yaml()
  const documents = parseAllDocuments(text, {
    version: '1.2',
    schema: 'core',
    merge: true,
    uniqueKeys: true,
    customTags: [octal, binary, hexadecimal, decimal, float, timestamp],
    logLevel: 'silent',
  })
  const first = Array.isArray(documents) ? documents[0] : undefined
  if (first === undefined) return ''
  const [error] = first.errors
  if (error !== undefined) throw new Error(`is not YAML: ${error.message.split('\n', 1)[0]}`)
  const value = jsonOf(first.toJS({ maxAliasCount: 1_000, mapAsMap: true }))
  return JSON.stringify(value)
}

/** @throws Error for what JSON has no way to write */
function jsonOf(value: unknown): JsonValue {
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value
    throw new Error(`is not JSON: it holds ${value}`)
  }
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(jsonOf)
  if (value instanceof Map) {
    return Object.fromEntries(Array.from(value, ([key, each]) => [keyOf(key), jsonOf(each)]))
  }
  return (value ?? null) as JsonValue
}

function keyOf(key: unknown): string {
  if (key === null || key === undefined) return '<nil>'
  return typeof key === 'object' ? JSON.stringify(key) : String(key)
}

// What flagd's parser reads as a number, and YAML 1.2 does not; and a time, which becomes a text.
const octal = number(/^[-+]?(?:0o|0)[0-7_]+$/, (text) =>
  Number.parseInt(text.replace(/^([-+]?)0o/, '$10'), 8),
)
const binary = number(/^[-+]?0b[01_]+$/, (text) => Number.parseInt(text.replace('0b', ''), 2))
const hexadecimal = number(/^[-+]?0x[\da-fA-F_]+$/, (text) =>
  Number.parseInt(text.replace('0x', ''), 16),
)
const decimal = number(/^[-+]?[1-9][\d_]*$/, Number)
const float = {
  ...number(/^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/, Number),
  tag: 'tag:yaml.org,2002:float',
}
const timestamp = {
  default: true,
  tag: 'tag:yaml.org,2002:timestamp',
  test: /^\d{4}-\d\d?-\d\d?(?:(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d+)?[ \t]*(?:[Zz]|[-+]\d\d?(?::?\d\d)?)?)?$/,
  resolve: (text: string): string => {
    const day = /^(\d{4})-(\d\d?)-(\d\d?)$/.exec(text)
    if (day === null) return text
    const [, year = '', month = '', date = ''] = day
    return `${year}-${month.padStart(2, '0')}-${date.padStart(2, '0')}T00:00:00Z`
  },
} as const

function number(
  test: RegExp,
  read: (text: string) => number,
): {
  readonly default: true
  readonly tag: string
  readonly test: RegExp
  readonly resolve: (text: string) => number
} {
  return {
    default: true,
    tag: 'tag:yaml.org,2002:int',
    test,
    resolve: (text) => read(text.replaceAll('_', '')),
  }
}
