import { FlagdCore } from '@openfeature/flagd-core'
import type { FeatureFlag } from '@openfeature/flagd-core'
import type { EvaluationContext } from '@openfeature/core'
import { SwitchbackError, quote } from '../errors.ts'
import type { JsonObject, JsonValue } from './struct.ts'

/** What a flag answers. Without a `value`, the caller's own default applies. */
export type Resolution =
  | {
      readonly ok: true
      readonly value: JsonValue | undefined
      readonly variant: string
      readonly reason: string
      readonly metadata: JsonObject
    }
  | { readonly ok: false; readonly errorCode: ErrorCode; readonly metadata: JsonObject }

export type ErrorCode = 'FLAG_NOT_FOUND' | 'PARSE_ERROR' | 'TYPE_MISMATCH' | 'GENERAL'

/** One accepted flag configuration, and the answers it gives. */
export interface FlagSet {
  /** The definitions, `$ref`s resolved, as the sync service hands them on. */
  readonly flags: Readonly<Record<string, JsonObject>>
  readonly metadata: JsonObject
  readonly keys: readonly string[]
  resolve(key: string, context: JsonObject): Resolution
}

const silent = {
  error(): void {},
  warn(): void {},
  info(): void {},
  debug(): void {},
}

/** No flags at all: what flagd serves when its file was broken from the start. */
export const emptyFlagSet: FlagSet = {
  flags: {},
  metadata: {},
  keys: [],
  resolve: () => ({ ok: false, errorCode: 'FLAG_NOT_FOUND', metadata: {} }),
}

/**
 * Reads a flag configuration as flagd does: structure that flagd refuses is refused, oddities that
 * it lets pass (an unknown field, a missing `state`) pass.
 *
 * @throws SwitchbackError `SB_FLAGS_INVALID` saying what is wrong
 */
export function parseFlagSet(text: string, name: string = 'flags'): FlagSet {
  try {
    return flagSetOf(resolveReferences(parseObject(text)))
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw new SwitchbackError('SB_FLAGS_INVALID', `${quote(name)} ${problem}`, {
      cause,
      hint: 'The last good flags stay in force until the file is mended.',
    })
  }
}

/** Several files as one: of a flag in more than one, the last stands. */
export function mergeFlagSets(sets: readonly FlagSet[]): FlagSet {
  if (sets.length === 1) return sets[0] as FlagSet
  return flagSetOf({
    flags: Object.assign({}, ...sets.map(({ flags }) => flags)) as JsonObject,
    metadata: Object.assign({}, ...sets.map(({ metadata }) => metadata)) as JsonObject,
  })
}

function flagSetOf(config: JsonObject): FlagSet {
  const definitions = config['flags']
  if (!isObject(definitions)) {
    throw new Error(
      definitions === undefined ? 'has no "flags"' : `"flags" is ${quote(definitions)}`,
    )
  }
  const metadata = isObject(config['metadata']) ? config['metadata'] : {}
  const flags: Record<string, JsonObject> = {}
  const normal: Record<string, JsonObject> = {}
  for (const [key, flag] of Object.entries(definitions)) {
    if (key === '__proto__') continue
    flags[key] = checked(key, flag)
    // flagd takes any state but DISABLED for enabled; the JS evaluator would throw.
    normal[key] = {
      ...flags[key],
      state: flags[key]['state'] === 'DISABLED' ? 'DISABLED' : 'ENABLED',
    }
  }
  const core = new FlagdCore(undefined, silent)
  try {
    core.setConfigurations(utf8Bytes(JSON.stringify({ flags: normal, metadata })))
  } catch (cause) {
    throw new Error(`is refused by the evaluator: ${(cause as Error).message}`, { cause })
  }
  return {
    flags,
    metadata,
    keys: Object.keys(flags),
    resolve(key, context) {
      const definition = Object.hasOwn(flags, key) ? flags[key] : undefined
      const flag = core.getFlag(utf8Bytes(key))
      if (!definition || !flag) return { ok: false, errorCode: 'FLAG_NOT_FOUND', metadata }
      return evaluate(flag, definition, context)
    },
  }
}

function evaluate(flag: FeatureFlag, definition: JsonObject, context: JsonObject): Resolution {
  const metadata = flag.metadata as JsonObject
  if (flag.state === 'DISABLED') {
    return { ok: true, value: undefined, variant: '', reason: 'DISABLED', metadata }
  }
  const result = flag.evaluate(evaluationContext(context) as EvaluationContext, silent)
  if (result.errorCode !== undefined) {
    return { ok: false, errorCode: result.errorCode as ErrorCode, metadata }
  }
  const variant = fromUtf8Bytes(result.variant ?? '')
  const variants = definition['variants'] as JsonObject
  return {
    ok: true,
    value: Object.hasOwn(variants, variant) ? variants[variant] : undefined,
    variant,
    reason: result.reason as string,
    metadata,
  }
}

/**
 * The evaluator hashes UTF-16 units where flagd hashes UTF-8 bytes. Handed every string as its bytes
 * (one character a byte), it gives flagd's own answer for any key, in rules as in `fractional`.
 */
function utf8Bytes(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return /^[\0-\x7f]*$/.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

function fromUtf8Bytes(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}

function evaluationContext(context: JsonObject): JsonObject {
  const result = bytesOf(context) as Record<string, JsonValue>
  // flagd buckets strings only; anything else gets the default.
  if (typeof result['targetingKey'] !== 'string') delete result['targetingKey']
  return result
}

function bytesOf(value: JsonValue): JsonValue {
  if (typeof value === 'string') return utf8Bytes(value)
  if (Array.isArray(value)) return value.map(bytesOf)
  if (value === null || typeof value !== 'object') return value
  const result: Record<string, JsonValue> = {}
  for (const [key, item] of Object.entries(value)) result[utf8Bytes(key)] = bytesOf(item)
  return result
}

function parseObject(text: string): JsonObject {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new Error(text === '' ? 'is empty' : `is not JSON: ${(cause as Error).message}`, {
      cause,
    })
  }
  if (!isObject(parsed)) throw new Error(`is ${quote(parsed)}, not an object`)
  return parsed
}

function checked(key: string, flag: JsonValue): JsonObject {
  if (!isObject(flag)) throw new Error(`has a flag ${quote(key)} that is ${quote(flag)}`)
  const { variants, defaultVariant } = flag
  if (!isObject(variants)) throw new Error(`has no variants for the flag ${quote(key)}`)
  if (defaultVariant === undefined || defaultVariant === null) return flag
  if (typeof defaultVariant !== 'string' || !Object.hasOwn(variants, defaultVariant)) {
    throw new Error(
      `names a defaultVariant ${quote(defaultVariant)} that the flag ${quote(key)} does not have`,
    )
  }
  return flag
}

/** Puts each shared rule of `$evaluators` in the place of its `{"$ref": "name"}`. */
function resolveReferences(config: JsonObject): JsonObject {
  const { $evaluators: evaluators, ...rest } = config
  if (!isObject(evaluators)) return rest
  const resolve = (value: JsonValue, depth: number): JsonValue => {
    if (depth > 100) throw new Error('has $refs that go round in circles')
    if (Array.isArray(value)) return value.map((item) => resolve(item, depth + 1))
    if (!isObject(value)) return value
    const name = value['$ref']
    if (typeof name === 'string' && Object.hasOwn(evaluators, name)) {
      return resolve(evaluators[name] as JsonValue, depth + 1)
    }
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, resolve(item, depth + 1)]),
    )
  }
  return resolve(rest, 0) as JsonObject
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
