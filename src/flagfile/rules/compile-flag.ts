import { compile } from './compile.ts'
import type { Compiled } from './compile.ts'
import { enter } from './rule-context.ts'
import type { EvaluationContext } from './rule-context.ts'
import { toWellFormed } from '../read/decode.ts'
import type { FlagDefinition } from '../read/flag-definition.ts'
import { goJson } from '../read/go-json.ts'
import { isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'
import { beginWork, panic } from './panic.ts'

/** What flagd answers for one flag and one user. */
export interface FlagEvaluation {
  /**
   * `FALLBACK`: the flag has no default variant, and no rule decided: the code's default applies.
   * `DISABLED`: likewise.
   */
  readonly reason: 'STATIC' | 'TARGETING_MATCH' | 'DEFAULT' | 'FALLBACK' | 'DISABLED' | 'ERROR'
  /** `''` without one. */
  readonly variant: string
  /** `undefined` without one. */
  readonly value: JsonValue | undefined
  /** `''` without an error. */
  readonly errorCode: '' | 'PARSE_ERROR' | 'GENERAL' | 'TYPE_MISMATCH'
}

/** Evaluates one flag for an evaluation context. Never throws. */
export type CompiledFlag = (context: EvaluationContext) => FlagEvaluation

const FALLBACK = none('FALLBACK')
const DISABLED = none('DISABLED')
const PARSE_ERROR: FlagEvaluation = { ...none('ERROR'), errorCode: 'PARSE_ERROR' }
const GENERAL: FlagEvaluation = { ...none('ERROR'), errorCode: 'GENERAL' }

function none(reason: FlagEvaluation['reason']): FlagEvaluation {
  return { reason, variant: '', value: undefined, errorCode: '' }
}

/**
 * Makes a flag ready to be evaluated, bit for bit as flagd does it: its bucketing, its reading of
 * mixed types, and its errors for a rule that fails for a user.
 */
export function compileFlag(flag: FlagDefinition): CompiledFlag {
  if (flag.state === 'DISABLED') return () => DISABLED
  const { targeting, defaultVariant } = flag
  const nobody = defaultVariant === '' ? FALLBACK : undefined
  // flagd looks at the text: an empty rule with blanks in it is one, and gives `{}`.
  if (targeting === undefined || (isEmpty(targeting) && flag.targetingText === undefined)) {
    const answer = nobody ?? variantOf(flag, defaultVariant, 'STATIC')
    return () => answer
  }
  const byDefault = nobody ?? variantOf(flag, defaultVariant, 'DEFAULT')
  const rule = compileRule(targeting)
  const known = new Map<string, FlagEvaluation>()
  for (const variant of Object.keys(flag.variants ?? {})) {
    if (PLAIN.test(variant)) known.set(variant, variantOf(flag, variant, 'TARGETING_MATCH'))
  }
  return (context) => {
    try {
      beginWork()
      const result = rule.run(enter(context, flag.key))
      if (result === null) return byDefault
      const plain = typeof result === 'string' ? known.get(result) : undefined
      return plain ?? variantOf(flag, variantNamed(result), 'TARGETING_MATCH')
    } catch {
      // The rule failed as it fails for flagd, or it needs more stack or steps than there are.
      return PARSE_ERROR
    }
  }
}

function compileRule(targeting: JsonValue): Compiled {
  try {
    beginWork()
    return compile(targeting)
  } catch {
    return { constant: undefined, run: panic }
  }
}

/** Names that mean themselves when a rule gives them. */
const PLAIN = /^[^"\\<>&\u2028\u2029\p{Cc}\p{Cs}]*$/u

/** flagd takes the JSON of what the rule gave for the name, without its quotes. */
function variantNamed(result: JsonValue): string {
  if (typeof result === 'number' && !Number.isFinite(result)) panic()
  return goJson(finite(result)).replaceAll('"', '')
}

function finite(value: JsonValue): JsonValue {
  if (typeof value === 'number') return Number.isFinite(value) ? value : panic()
  if (typeof value === 'string') return toWellFormed(value)
  if (isList(value)) return value.map(finite)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, finite(each)]))
}

function variantOf(
  { variants }: FlagDefinition,
  variant: string,
  reason: 'STATIC' | 'TARGETING_MATCH' | 'DEFAULT',
): FlagEvaluation {
  if (variants === undefined || !Object.hasOwn(variants, variant)) return GENERAL
  const value = variants[variant] as JsonValue
  // Null is no value of any type.
  if (value === null)
    return { reason: 'ERROR', variant, value: undefined, errorCode: 'TYPE_MISMATCH' }
  return { reason, variant, value, errorCode: '' }
}

function isEmpty(targeting: JsonValue): boolean {
  return isObject(targeting) && Object.keys(targeting).length === 0
}
