import type { Document, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { quote } from '../../errors.ts'
import { LOAD } from '../../load-package.ts'
import { goJson } from './go-json.ts'
import type { JsonValue } from '../json.ts'
import { MAYBE_NUMBER, YamlTime, yamlScalar } from './yaml-scalars.ts'

type Yaml = typeof import('yaml')

let library: Yaml | undefined

/** Loaded when the first YAML is read: an application with JSON needs no parser of YAML. */
function yaml(): Yaml {
  library ??= LOAD.yaml() as Yaml
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
  const control = CONTROL.exec(text)
  if (control !== null) throw new Error(`is not YAML: it holds ${quote(control[0])}`)
  const { isScalar, parseAllDocuments } = yaml()
  // A carriage return ends a line, alone as well.
  const lines = text.replaceAll(/\r\n?/g, '\n')
  const documents = parseAllDocuments(lines, {
    version: '1.2',
    schema: 'core',
    merge: true,
    // As written: `~` and `null` are two names.
    uniqueKeys: (a, b) => isScalar(a) && isScalar(b) && a.source === b.source,
    customTags: (tags) => [...NUMBERS, ...tags],
    keepSourceTokens: true,
    logLevel: 'silent',
  })
  const first = Array.isArray(documents) ? documents[0] : undefined
  if (first === undefined) return ''
  const [error] = first.errors
  if (error !== undefined) throw new Error(`is not YAML: ${error.message.split('\n', 1)[0]}`)
  const { explicit, version } = first.directives.yaml
  if (explicit === true && version !== '1.1') throw new Error(`says that it is YAML ${version}`)
  refuseEscapes(first)
  refuseTabs(first, lines)
  return goJson(jsonOf(first.toJS({ maxAliasCount: 1_000, mapAsMap: true })))
}

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\0-\u0008\v\f\u000E-\u001F\u007F-\u0084\u0086-\u009F\uFFFE\uFFFF]/

const NUMBERS = ['int', 'float', 'timestamp'].map((name) => ({
  default: true as const,
  tag: `tag:yaml.org,2002:${name}`,
  test: MAYBE_NUMBER,
  resolve: yamlScalar,
}))

/** What JSON may escape in a text, and flagd's parser of YAML does not know: a slash, and surrogates. */
const ESCAPES = /\\(?:(?<unknown>\/|u[dD][89a-fA-F])|[^])/g

function refuseEscapes(document: Document): void {
  const check = (_: unknown, { srcToken }: Scalar): void => {
    if (srcToken?.type !== 'double-quoted-scalar') return
    for (const { groups } of srcToken.source.matchAll(ESCAPES)) {
      if (groups?.['unknown'] === undefined) continue
      throw new Error(`is not YAML to flagd: ${quote(srcToken.source)} escapes what it need not`)
    }
  }
  yaml().visit(document, { Scalar: check })
}

/** Where a line, or what follows a dash in it, begins with a tab. */
const TAB = /^ *(?:[-?] +)*[-?]?\t/gm

/** To flagd a tab is no indentation, not even of nothing; in texts and in brackets it is. */
function refuseTabs(document: Document, text: string): void {
  const tabs = Array.from(text.matchAll(TAB), ({ index, 0: found }) => index + found.length - 1)
  if (tabs.length === 0) return
  const free: (readonly [start: number, end: number])[] = []
  const keep = (_: unknown, { range }: Pick<Scalar, 'range'>): void => {
    if (range) free.push([range[0], range[1]])
  }
  const collection = (key: unknown, node: YAMLMap | YAMLSeq): void => {
    if (node.flow === true) keep(key, node)
  }
  yaml().visit(document, { Scalar: keep, Map: collection, Seq: collection })
  const end = document.contents?.range?.[2] ?? 0
  const wrong = tabs.find(
    (tab) => tab <= end && !free.some(([from, to]) => tab >= from && tab < to),
  )
  if (wrong === undefined) return
  const line = text.slice(0, wrong).split('\n').length
  throw new Error(`is not YAML to flagd: line ${line} has a tab for indentation`)
}

/** @throws Error for what JSON has no way to write */
function jsonOf(value: unknown): JsonValue {
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return value
    throw new Error(`is not JSON: it holds ${value}`)
  }
  if (typeof value === 'bigint') return Number(value)
  if (value instanceof YamlTime) return value.value
  if (value instanceof Uint8Array) return Buffer.from(value).toString()
  if (Array.isArray(value)) return value.map(jsonOf)
  if (value instanceof Set) return jsonOf(new Map(Array.from(value, (each) => [each, null])))
  if (value instanceof Map) {
    return Object.fromEntries(Array.from(value, ([key, each]) => [keyOf(key), jsonOf(each)]))
  }
  return (value ?? null) as JsonValue
}

function keyOf(key: unknown): string {
  if (key === null || key === undefined) return '<nil>'
  if (key instanceof YamlTime) return key.name
  if (typeof key === 'object') throw new Error('is not YAML: it has a list or a map as a name')
  return String(key)
}
