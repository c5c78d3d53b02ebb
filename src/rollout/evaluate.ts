import { FlagdCore } from '@openfeature/flagd-core'
import { quote, SwitchbackError } from '../errors.ts'
import { resolveReferences, withoutInherited } from '../flags-bounds.ts'
import {
  entriesOf,
  type FlagsDocument,
  flagNode,
  type JsonValue,
  property,
  valueOf,
  walk,
} from './document.ts'
import { leaves } from './shape.ts'

/** A user as flagd sees one: the targeting key, or a whole evaluation context. */
export type User = string | UserContext

export interface UserContext {
  readonly targetingKey: string
  readonly [attribute: string]: JsonValue
}

/** What a user gets: a variant, or one of the two below. */
export type Answer = string

/** The flag is disabled or has no default: the caller's code decides (`off` in Switchback). */
export const codeDefault: Answer = '(default of the code)'
/** flagd answers with an error, upon which the caller's code decides. */
export const evaluationError: Answer = '(error)'

/**
 * Evaluates one flag with flagd's official evaluator, for flagd's own answers: strings are handed to
 * it as the bytes of their UTF-8, since its hash walks UTF-16 units where flagd's walks bytes and half
 * of all non-ASCII users would be told the wrong side.
 *
 * Other flags of the file are left out, so that a fault in one of them does not hide this one.
 *
 * @throws {SwitchbackError} `SB_FLAG_UNKNOWN`, or `SB_FLAG_BROKEN` when the evaluator refuses the flag.
 */
export function createEvaluator(document: FlagsDocument, flag: string): (user: User) => Answer {
  const definition = valueOf(flagNode(document, flag)) as Record<string, JsonValue>
  // flagd takes a missing or unknown state for ENABLED, while this evaluator would throw.
  const state = definition['state'] === 'DISABLED' ? 'DISABLED' : 'ENABLED'
  if (state === 'DISABLED') return () => codeDefault
  const evaluators = property(document.root, '$evaluators')
  const configuration: JsonValue = {
    ...(evaluators === undefined ? {} : { $evaluators: valueOf(evaluators) }),
    flags: { [flag]: { ...definition, state } },
  }
  const core = new FlagdCore(undefined, silent)
  try {
    const { flags } = resolveReferences(configuration) as {
      readonly flags: Readonly<Record<string, Readonly<Record<string, unknown>>>>
    }
    const targeting = withoutInherited(flags[flag]?.['targeting'])
    const resolved = { flags: { [flag]: { ...flags[flag], targeting } } }
    core.setConfigurations(bytes(JSON.stringify(resolved)))
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new SwitchbackError(
      'SB_FLAG_BROKEN',
      `flag ${quote(flag)} cannot be evaluated: ${cause instanceof Error ? cause.message : ''}`,
      { cause: error, hint: 'switchback validate tells what is wrong with it' },
    )
  }
  const parsed = core.getFlag(bytes(flag))
  return (user) => {
    const context = typeof user === 'string' ? { targetingKey: bytes(user) } : bytesDeep(user)
    const result = parsed?.evaluate(context as Record<string, string>, silent)
    if (result === undefined || result.reason === 'ERROR') return evaluationError
    return result.value === undefined ? codeDefault : text(result.variant ?? '')
  }
}

const silent = { error() {}, warn() {}, info() {}, debug() {} }

// oxlint-disable-next-line no-control-regex -- ASCII is exactly this range
const ascii = /^[\u0000-\u007F]*$/

/** A string of one character for each byte of its UTF-8. */
function bytes(value: string): string {
  return ascii.test(value) ? value : Buffer.from(value, 'utf8').toString('latin1')
}

function text(value: string): string {
  return ascii.test(value) ? value : Buffer.from(value, 'latin1').toString('utf8')
}

function bytesDeep(value: JsonValue): JsonValue {
  if (typeof value === 'string') return bytes(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((each: JsonValue) => bytesDeep(each))
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [bytes(key), bytesDeep(each)]),
  )
}

/**
 * Makes up users for a flag: `user_0`, `user_1` and so on. Where the rule buckets by an attribute
 * instead of the targeting key, that attribute is filled in too.
 */
export function syntheticUser(document: FlagsDocument, flag: string): (index: number) => User {
  const attributes = bucketingAttributes(document, flag)
  if (attributes.length === 0) return (index) => `user_${index}`
  return (index) => {
    const key = `user_${index}`
    return { targetingKey: key, ...Object.fromEntries(attributes.map((name) => [name, key])) }
  }
}

function bucketingAttributes(document: FlagsDocument, flag: string): string[] {
  const targeting = property(flagNode(document, flag), 'targeting')
  if (targeting?.type !== 'object' || !targeting.children?.length) return []
  const names = new Set<string>()
  for (const { outcome } of leaves(targeting)) {
    const bucketing = outcome.kind === 'split' ? outcome.list.children?.[0] : undefined
    if (bucketing === undefined || bucketing.type === 'array') continue
    for (const node of walk(bucketing)) {
      for (const [operator, operand] of entriesOf(node)) {
        if (operator === 'var' && operand.type === 'string') names.add(String(operand.value))
      }
    }
  }
  return [...names].filter((name) => name !== 'targetingKey' && !name.startsWith('$flagd'))
}
