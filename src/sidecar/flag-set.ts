import type { EvaluationContext } from '@openfeature/core'
import { FlagdCore } from '@openfeature/flagd-core'
import type { FeatureFlag } from '@openfeature/flagd-core'
import { withoutInherited } from '../flags-bounds.ts'
import { SwitchbackError } from '../errors.ts'
import type { Definitions } from './definitions.ts'
import { isList, mapEntries } from './json.ts'
import type { JsonObject, JsonValue } from './json.ts'

/** What a flag answers. Without a `value`, the caller's own default applies. */
export type Resolution = Answer | Failure

export interface Answer {
  readonly value: JsonValue | undefined
  /** `''` without a value. */
  readonly variant: string
  /** `STATIC`, `TARGETING_MATCH`, `DEFAULT` or `DISABLED`. */
  readonly reason: string
  /** Of the flag set and the flag, the flag's own winning. */
  readonly metadata: JsonObject
}

export interface Failure {
  readonly errorCode: ErrorCode
  readonly metadata: JsonObject
}

export type ErrorCode = 'FLAG_NOT_FOUND' | 'PARSE_ERROR' | 'TYPE_MISMATCH' | 'GENERAL'

/** Accepted definitions, and the answers that they give. */
export interface FlagSet extends Definitions {
  readonly keys: readonly string[]
  /** Answers for one evaluation context, by flag key. */
  asking(this: void, context: JsonObject): (key: string) => Resolution
}

const silent = {
  error(): void {},
  warn(): void {},
  info(): void {},
  debug(): void {},
}

/** @throws SwitchbackError `SB_FLAGS_INVALID` when the evaluator refuses what flagd would accept */
export function flagSet({ flags, metadata }: Definitions): FlagSet {
  const core = new FlagdCore(undefined, silent)
  try {
    core.setConfigurations(
      utf8Bytes(JSON.stringify({ flags: mapEntries(flags, normal), metadata })),
    )
  } catch (cause) {
    const message = `The flags are refused by the evaluator: ${(cause as Error).message}`
    throw new SwitchbackError('SB_FLAGS_INVALID', message, { cause })
  }
  return {
    flags,
    metadata,
    keys: Object.keys(flags),
    asking(context) {
      const evaluationContext = contextOf(context)
      return (key) => {
        const flag = core.getFlag(utf8Bytes(key))
        const definition = Object.hasOwn(flags, key) ? flags[key] : undefined
        if (!flag || !definition) return { errorCode: 'FLAG_NOT_FOUND', metadata }
        return evaluate(flag, definition, metadata, evaluationContext)
      }
    },
  }
}

function evaluate(
  flag: FeatureFlag,
  definition: JsonObject,
  setMetadata: JsonObject,
  context: EvaluationContext,
): Resolution {
  const metadata = { ...setMetadata, ...(definition['metadata'] as JsonObject | undefined) }
  if (flag.state === 'DISABLED') return noValue('DISABLED', metadata)
  const result = flag.evaluate(context, silent)
  if (result.errorCode !== undefined) {
    return { errorCode: result.errorCode as ErrorCode, metadata }
  }
  const reason = result.reason as string
  if (result.variant === undefined) return noValue(reason, metadata)
  const variant = fromUtf8Bytes(result.variant)
  const value = (definition['variants'] as JsonObject)[variant]
  return { value, variant, reason, metadata }
}

export const noFlags: FlagSet = flagSet({ flags: {}, metadata: {} })

function noValue(reason: string, metadata: JsonObject): Answer {
  return { value: undefined, variant: '', reason, metadata }
}

/** flagd takes any state but `DISABLED` for enabled, where the JS evaluator throws. */
function normal(key: string, flag: JsonValue): readonly [string, JsonValue] {
  const { state, defaultVariant, targeting, ...rest } = flag as JsonObject
  const rule = withoutInherited(targeting) as JsonValue | undefined
  return [
    key,
    {
      ...rest,
      state: state === 'DISABLED' ? 'DISABLED' : 'ENABLED',
      ...(typeof defaultVariant === 'string' ? { defaultVariant } : {}),
      ...(rule === undefined ? {} : { targeting: rule }),
    },
  ]
}

/**
 * The JS evaluator hashes UTF-16 units where flagd hashes UTF-8 bytes. Given every string as its bytes
 * (one character a byte), rules and `fractional` alike answer as flagd does for any text.
 */
function utf8Bytes(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return /^[\0-\x7f]*$/.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

function fromUtf8Bytes(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}

function contextOf(context: JsonObject): EvaluationContext {
  const { targetingKey, ...rest } = bytesOf(context) as JsonObject
  // flagd buckets strings only and gives anything else the default.
  return (typeof targetingKey === 'string' ? { ...rest, targetingKey } : rest) as EvaluationContext
}

function bytesOf(value: JsonValue): JsonValue {
  if (typeof value === 'string') return utf8Bytes(value)
  if (typeof value !== 'object' || value === null) return value
  if (isList(value)) return value.map(bytesOf)
  return mapEntries(value, (key, item) => [utf8Bytes(key), bytesOf(item)])
}
