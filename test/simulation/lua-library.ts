import { createHash } from 'node:crypto'
import { translate } from './lua-parser.ts'

/** A Lua value. `undefined` is nil. */
export type LuaValue = unknown

/** The several values that one call gave. */
class Many extends Array<LuaValue> {}

export class LuaTable {
  /** From 1 on, up to the first nil. */
  readonly values: LuaValue[]
  #others: Map<LuaValue, LuaValue> | undefined

  constructor(values: LuaValue[] = []) {
    this.values = values
  }

  /** @param values behind the first nil nothing is kept: no script has such lists */
  static of(values: readonly LuaValue[]): LuaTable {
    const end = values.indexOf(undefined)
    return new LuaTable(end < 0 ? [...values] : values.slice(0, end))
  }

  get length(): number {
    return this.values.length
  }

  get(key: LuaValue): LuaValue {
    if (typeof key === 'number') {
      const value = this.values[key - 1]
      if (value !== undefined) return value
    }
    return this.#others?.get(key)
  }

  set(key: LuaValue, value: LuaValue): void {
    const { values } = this
    if (typeof key === 'number' && key >= 1 && key <= values.length + 1) {
      if (value !== undefined) values[key - 1] = value
      else if (key === values.length) values.pop()
      else if (key < values.length) throw new LuaError('a hole in a list: no script has such lists')
    } else if (value === undefined) this.#others?.delete(key)
    else (this.#others ??= new Map()).set(key, value)
  }

  entries(): [LuaValue, LuaValue][] {
    return [
      ...this.values.map((value, i): [LuaValue, LuaValue] => [i + 1, value]),
      ...(this.#others ?? []),
    ]
  }
}

/** An error of Redis, as a script sees it. */
export class LuaError extends Error {}

type Call = (...args: LuaValue[]) => LuaValue

const truthy = (value: LuaValue): boolean =>
  value !== undefined && value !== null && value !== false

function num(value: LuaValue): number {
  const number = toNumber(value)
  if (number === undefined) throw new LuaError('attempt to perform arithmetic on a non-number')
  return number
}

function toNumber(value: LuaValue): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value !== 'string' || value.trim() === '') return undefined
  const number = Number(value)
  return Number.isNaN(number) ? undefined : number
}

function text(value: LuaValue): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') {
    return Number.isInteger(value) && Math.abs(value) < 1e15
      ? String(value)
      : String(Number(value.toPrecision(14)))
  }
  if (typeof value === 'boolean') return String(value)
  return value === undefined ? 'nil' : 'table'
}

function str(value: LuaValue): string {
  if (typeof value === 'string' || typeof value === 'number') return text(value)
  throw new LuaError(`attempt to use a ${typeof value} value as a string`)
}

function sub(s: LuaValue, from: LuaValue, to: LuaValue = -1): string {
  const string = str(s)
  let [i, j] = [num(from), num(to)]
  if (i < 0) i = Math.max(string.length + i + 1, 1)
  else if (i === 0) i = 1
  if (j < 0) j = string.length + j + 1
  return string.slice(i - 1, Math.max(j, i - 1))
}

const CLASSES: Readonly<Record<string, string>> = {
  a: 'A-Za-z',
  d: '0-9',
  l: 'a-z',
  s: '\\s',
  u: 'A-Z',
  w: 'A-Za-z0-9',
  x: '0-9A-Fa-f',
}
const patterns = new Map<string, RegExp>()

function regExp(pattern: string): RegExp {
  let made = patterns.get(pattern)
  if (made !== undefined) return made
  let js = ''
  let inSet = false
  for (let i = 0; i < pattern.length; i += 1) {
    const c = pattern[i]!
    if (c === '%') {
      i += 1
      const named = CLASSES[pattern[i]!.toLowerCase()]
      const negated = pattern[i] !== pattern[i]!.toLowerCase()
      if (named === undefined) js += `\\${pattern[i]}`
      else js += inSet ? named : `[${negated ? '^' : ''}${named}]`
    } else if (c === '[') {
      inSet = true
      js += '['
    } else if (c === ']') {
      inSet = false
      js += ']'
    } else if (c === '-' && !inSet) js += '*?'
    else if (/[{}|\\/]/u.test(c)) js += `\\${c}`
    else js += c
  }
  made = new RegExp(js, 's')
  patterns.set(pattern, made)
  return made
}

function find(
  s: LuaValue,
  pattern: LuaValue,
  init: LuaValue = 1,
  isPlain: LuaValue = false,
): LuaValue {
  const from = num(init) - 1
  if (truthy(isPlain)) {
    const at = str(s).indexOf(str(pattern), from)
    return at < 0 ? undefined : L.many(at + 1, at + str(pattern).length)
  }
  const found = firstMatch(str(s).slice(from), str(pattern))
  if (found === null) return undefined
  const at = from + found.index
  return L.many(at + 1, at + found[0].length, ...found.slice(1))
}

const matched = new Map<string, { readonly of: string; readonly found: RegExpExecArray | null }>()

/** A script asks the same of the same text again and again: what was found last is remembered. */
function firstMatch(of: string, pattern: string): RegExpExecArray | null {
  const last = matched.get(pattern)
  if (last?.of === of) return last.found
  const found = regExp(pattern).exec(of)
  matched.set(pattern, { of, found })
  return found
}

function match(s: LuaValue, pattern: LuaValue): LuaValue {
  const found = firstMatch(str(s), str(pattern))
  if (found === null) return undefined
  return found.length > 1 ? Many.from(found.slice(1)) : found[0]
}

function format(pattern: LuaValue, ...args: LuaValue[]): string {
  if (pattern === '%.0f') return num(args[0]).toFixed(0)
  let at = 0
  return str(pattern).replace(
    /%(0?\d*)(?:\.(\d+))?([dfsxgi%])/gu,
    (_, width: string, digits: string | undefined, kind: string) => {
      if (kind === '%') return '%'
      const value = args[at]
      at += 1
      let shown: string
      if (kind === 's') shown = text(value)
      else if (kind === 'f') shown = num(value).toFixed(digits === undefined ? 6 : Number(digits))
      else if (kind === 'x') shown = Math.trunc(num(value)).toString(16)
      else if (kind === 'g') shown = text(num(value))
      else shown = String(Math.trunc(num(value)))
      return shown.padStart(Number(width), width.startsWith('0') ? '0' : ' ')
    },
  )
}

const STRINGS: Readonly<Record<string, Call>> = {
  sub,
  find,
  match,
  format,
  len: (s) => str(s).length,
  rep: (s, n) => str(s).repeat(num(n)),
  lower: (s) => str(s).toLowerCase(),
  upper: (s) => str(s).toUpperCase(),
  byte: (s, i = 1) => str(s).charCodeAt(num(i) - 1),
  char: (...codes) => String.fromCharCode(...codes.map(num)),
  gsub: (s, pattern, by) => {
    const all = new RegExp(regExp(str(pattern)).source, 'gs')
    return str(s).replace(all, str(by).replaceAll('%', '$'))
  },
  gmatch: (s, pattern) => {
    const all = new RegExp(regExp(str(pattern)).source, 'gs')
    return [...str(s).matchAll(all)].map((one) => (one.length > 1 ? one.slice(1) : [one[0]]))
  },
}

function tableOf(entries: Readonly<Record<string, LuaValue>>): LuaTable {
  const table = new LuaTable()
  for (const [key, value] of Object.entries(entries)) table.set(key, value)
  return table
}

function comparable(left: LuaValue, right: LuaValue): void {
  if (typeof left === typeof right && (typeof left === 'number' || typeof left === 'string')) return
  throw new LuaError(`attempt to compare ${typeof left} with ${typeof right}`)
}

const L = {
  truthy,
  num,
  concat: (left: LuaValue, right: LuaValue) => str(left) + str(right),
  less(left: LuaValue, right: LuaValue): boolean {
    comparable(left, right)
    return (left as number) < (right as number)
  },
  atMost(left: LuaValue, right: LuaValue): boolean {
    comparable(left, right)
    return (left as number) <= (right as number)
  },
  mod: (left: number, right: number) => left - Math.floor(left / right) * right,
  len: (value: LuaValue) => (value instanceof LuaTable ? value.length : str(value).length),
  many: (...values: LuaValue[]): LuaValue => Many.from(values),
  first: (value: LuaValue) => (value instanceof Many ? value[0] : value),
  all: (value: LuaValue) => (value instanceof Many ? value : [value]),
  table(values: readonly LuaValue[], fields: readonly (readonly [LuaValue, LuaValue])[]): LuaTable {
    const table = LuaTable.of(values)
    for (const [key, value] of fields) table.set(key, value)
    return table
  },
  index(of: LuaValue, key: LuaValue): LuaValue {
    if (of instanceof LuaTable) return of.get(key)
    throw new LuaError(
      `attempt to index a ${of === undefined ? 'nil' : typeof of} value (${text(key)})`,
    )
  },
  put(of: LuaValue, key: LuaValue, value: LuaValue): void {
    if (!(of instanceof LuaTable)) throw new LuaError('attempt to index a value that is no table')
    of.set(key, value)
  },
  method(of: LuaValue, name: string, ...args: LuaValue[]): LuaValue {
    return STRINGS[name]!(of, ...args)
  },
}

const MATH: Readonly<Record<string, LuaValue>> = {
  floor: (n: LuaValue) => Math.floor(num(n)),
  ceil: (n: LuaValue) => Math.ceil(num(n)),
  abs: (n: LuaValue) => Math.abs(num(n)),
  max: (...all: LuaValue[]) => Math.max(...all.map(num)),
  min: (...all: LuaValue[]) => Math.min(...all.map(num)),
  huge: Number.POSITIVE_INFINITY,
}

const TABLE = tableOf({
  insert: (table: LuaTable, value: LuaValue) => table.set(table.length + 1, value),
  concat: (table: LuaTable, by: LuaValue = '') => table.values.map(str).join(str(by)),
  getn: (table: LuaTable) => table.length,
})

export interface RedisApi {
  /** A command's reply, as Redis gives it; throws a {@link LuaError} for an error reply. */
  call(name: string, args: readonly string[]): unknown
}

export type Script = (api: RedisApi, keys: readonly string[], args: readonly string[]) => unknown

const compiled = new Map<string, Script>()

/** A script, translated once. */
export function compileLua(source: string): Script {
  let script = compiled.get(source)
  if (script === undefined) {
    const run = new Function('L', 'G', 'F', 'KEYS', 'ARGV', translate(source)) as (
      l: typeof L,
      g: object,
      f: object,
      keys: LuaTable,
      args: LuaTable,
    ) => unknown
    script = (api, keys, args) => {
      server = api
      return fromLua(
        L.first(run(L, GLOBALS, FUNCTIONS, new LuaTable([...keys]), new LuaTable([...args]))),
      )
    }
    compiled.set(source, script)
  }
  return script
}

/** Whose script is running: none is ever interrupted. */
let server: RedisApi | undefined

/** A name as a literal has it is compared faster than one that was just made. */
const commands = new Map<LuaValue, string>()

const call: Call = (name, ...rest) => {
  let command = commands.get(name)
  if (command === undefined) commands.set(name, (command = str(name).toUpperCase()))
  return toLua(server!.call(command, rest.map(str)))
}
const pcall: Call = (...all) => {
  try {
    return call(...all)
  } catch (error) {
    if (error instanceof LuaError) return tableOf({ err: error.message })
    throw error
  }
}

const REDIS: Readonly<Record<string, LuaValue>> = {
  call,
  pcall,
  sha1hex: (of: LuaValue) => createHash('sha1').update(str(of)).digest('hex'),
  error_reply: (err: LuaValue) => tableOf({ err }),
  status_reply: (ok: LuaValue) => tableOf({ ok }),
  log: () => undefined,
  replicate_commands: () => true,
  LOG_WARNING: 3,
}

const GLOBALS: Readonly<Record<string, LuaValue>> = {
  redis: tableOf(REDIS),
  string: tableOf(STRINGS),
  math: tableOf(MATH),
  table: TABLE,
  tonumber: (value: LuaValue) => toNumber(value),
  tostring: text,
  type: (value: LuaValue) =>
    value === undefined ? 'nil' : value instanceof LuaTable ? 'table' : typeof value,
  pairs: (table: LuaTable) => table.entries(),
  ipairs: (table: LuaTable) => table.values.map((value, i) => [i + 1, value]),
  unpack: (table: LuaTable) => Many.from(table.values),
  error: (message: LuaValue) => {
    throw new LuaError(message instanceof LuaTable ? text(message.get('err')) : text(message))
  },
}

/** The same by their full names. */
const FUNCTIONS: Readonly<Record<string, LuaValue>> = {
  ...GLOBALS,
  ...Object.fromEntries(
    Object.entries({ redis: REDIS, string: STRINGS, math: MATH }).flatMap(([name, members]) =>
      Object.entries(members).map(([member, value]) => [`${name}.${member}`, value]),
    ),
  ),
}

/** Redis's replies in Lua: nil is false, a status a table. */
function toLua(reply: unknown): LuaValue {
  if (reply === null || reply === undefined) return false
  if (Array.isArray(reply)) return new LuaTable(reply.map(toLua))
  return reply === 'OK' ? tableOf({ ok: 'OK' }) : reply
}

/** Lua's values in a reply: a number loses its fraction, a table ends at the first nil. */
function fromLua(value: LuaValue): unknown {
  if (typeof value === 'number') return Math.trunc(value)
  if (value === true) return 1
  if (!truthy(value)) return null
  if (!(value instanceof LuaTable)) return value
  const err = value.get('err')
  if (err !== undefined) throw new LuaError(text(err))
  const ok = value.get('ok')
  return ok === undefined ? value.values.map(fromLua) : ok
}
