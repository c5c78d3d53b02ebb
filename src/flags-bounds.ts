import { open } from 'node:fs/promises'
import { SwitchbackError, quote } from './errors.ts'

/*
 * What a flags file may cost whoever reads it. Reading one stops everything else that a process does, so
 * that a file of any size, or a small one that means a huge one, would stop it for seconds.
 */

/** Largest flags file, in bytes: as much as a Kubernetes ConfigMap holds. */
export const MAX_FLAGS_BYTES = 1_048_576
/** How deep one may nest: whoever walks it must not overflow the stack. */
const MAX_DEPTH = 200
/** How many values it may hold, those of its shared rules counted wherever they are referred to. */
const MAX_VALUES = 50_000

/**
 * The content of a flags file, however long the file really is.
 *
 * @throws SwitchbackError `SB_FLAGS_TOO_LARGE`; errors of the file system as they are
 */
export async function readFlagsFile(path: string): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const chunks: Buffer[] = []
    let size = 0
    for (;;) {
      const chunk = Buffer.allocUnsafe(65_536)
      const { bytesRead } = await file.read(chunk)
      if (bytesRead === 0) return Buffer.concat(chunks)
      size += bytesRead
      if (size > MAX_FLAGS_BYTES) throw tooLarge(path)
      chunks.push(chunk.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

/** Several files that are read as one are one. */
export function tooLarge(path: string): SwitchbackError {
  return new SwitchbackError(
    'SB_FLAGS_TOO_LARGE',
    `${quote(path)} holds more than ${MAX_FLAGS_BYTES} bytes`,
    { hint: 'Give each application its own flags file.' },
  )
}

/** Why a text of JSON costs too much to be read, and where that shows. */
export interface Excess {
  readonly offset: number
  /** Goes on from the name of the file. */
  readonly message: string
}

/** Found without parsing: `undefined` says nothing of whether it is JSON. */
export function excessOf(text: string): Excess | undefined {
  if (text.length > MAX_FLAGS_BYTES) {
    return { offset: 0, message: `holds more than ${MAX_FLAGS_BYTES} characters` }
  }
  let depth = 0
  let values = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = endOfString(text, at)
      continue
    }
    if (code === BRACKET_END || code === BRACE_END) depth--
    const opens = code === BRACKET || code === BRACE
    if (opens && ++depth > MAX_DEPTH) {
      return { offset: at, message: `is nested deeper than ${MAX_DEPTH}` }
    }
    // Each value follows a comma, or the bracket of its list or object when it is the first.
    if ((opens || code === COMMA) && ++values > MAX_VALUES) {
      return { offset: at, message: `holds more than ${MAX_VALUES} values` }
    }
  }
  return undefined
}

const QUOTE = 34
const COMMA = 44
const BRACKET = 91
const BACKSLASH = 92
const BRACKET_END = 93
const BRACE = 123
const BRACE_END = 125

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    if (code === BACKSLASH) at++
  }
  return text.length
}

/**
 * A configuration with each shared rule of `$evaluators` in the place of its `{"$ref": "name"}`.
 *
 * @throws Error that goes on from the name of the file: a rule leads to itself, or all of them to more
 * values than a file may hold
 */
export function resolveReferences(
  config: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { $evaluators: rules, ...rest } = config
  if (typeof rules !== 'object' || rules === null) return rest
  const named = rules as Readonly<Record<string, unknown>>
  const resolved = new Map<string, Rule>()
  let values = 0

  const resolve = (value: unknown): unknown => {
    if (++values > MAX_VALUES) {
      throw new Error(`holds more than ${MAX_VALUES} values by its shared rules`)
    }
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(resolve)
    const name: unknown = (value as { readonly $ref?: unknown }).$ref
    if (typeof name === 'string' && Object.hasOwn(named, name)) return rule(name)
    // Not by assignment: of `__proto__` that would make a prototype.
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item)]))
  }
  const rule = (name: string): unknown => {
    const known = resolved.get(name)
    if (known === 'under way') throw new Error(`has a $ref ${quote(name)} that leads to itself`)
    if (known !== undefined) {
      values += known.values
      return known.rule
    }
    resolved.set(name, 'under way')
    const before = values
    const made = resolve(named[name])
    resolved.set(name, { rule: made, values: values - before })
    return made
  }
  return resolve(rest) as Readonly<Record<string, unknown>>
}

/** A shared rule as resolved, and how many values it is. */
type Rule = 'under way' | { readonly rule: unknown; readonly values: number }

/**
 * A rule whose operators are those that it names. The JavaScript evaluator takes `valueOf`, `constructor`
 * and the like, which every object has, for operators of its own, and some of them end the process by a
 * rejection that nobody handles. flagd knows no such operators: now neither does the evaluator.
 */
export function withoutInherited(rule: unknown): unknown {
  if (typeof rule !== 'object' || rule === null) return rule
  if (Array.isArray(rule)) return rule.map(withoutInherited)
  const entries = Object.entries(rule).map(([key, value]): [string, unknown] => [
    key in Object.prototype ? `unknown ${key}` : key,
    withoutInherited(value),
  ])
  return Object.fromEntries(entries)
}
