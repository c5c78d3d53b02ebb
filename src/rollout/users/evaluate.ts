import { quote, SwitchbackError } from '../../errors.ts'
import { compileFlag, readFlagSet, readsTime } from '../../flagfile/index.ts'
import type { FlagDefinition, FlagSet } from '../../flagfile/index.ts'
import {
  entriesOf,
  type FlagsDocument,
  type JsonValue,
  property,
  valueOf,
  walk,
} from '../file/document.ts'
import { flagNode } from '../file/flag-members.ts'
import { leaves } from '../split/shape.ts'

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
/** flagd answers with an error, and the caller's code decides. */
export const evaluationError: Answer = '(error)'

/**
 * Evaluates one flag as flagd does.
 *
 * @throws {SwitchbackError} `SB_FLAG_UNKNOWN`, or `SB_FLAG_BROKEN` when flagd refuses the flag.
 */
export function createEvaluator(document: FlagsDocument, flag: string): (user: User) => Answer {
  const evaluate = compileFlag(definitionOf(document, flag))
  return (user) => {
    const { reason, variant } = evaluate(typeof user === 'string' ? { targetingKey: user } : user)
    if (reason === 'ERROR') return evaluationError
    return reason === 'FALLBACK' || reason === 'DISABLED' ? codeDefault : variant
  }
}

const sets = new WeakMap<FlagsDocument, FlagSet>()

/**
 * A flag as flagd reads it. Where flagd refuses the file for another flag, this one is read without
 * the others: a mistake in one of them does not hide it.
 *
 * @throws {SwitchbackError} `SB_FLAG_UNKNOWN`, or `SB_FLAG_BROKEN` when flagd refuses the flag.
 */
export function definitionOf(document: FlagsDocument, flag: string): FlagDefinition {
  const node = flagNode(document, flag)
  try {
    const set = sets.get(document) ?? readFlagSet(document.text, 'the file')
    sets.set(document, set)
    const definition = set.flags.get(flag)
    if (definition !== undefined) return definition
  } catch {
    // Reported below when it concerns this flag.
  }
  const evaluators = property(document.root, '$evaluators')
  const alone = {
    ...(evaluators === undefined ? {} : { $evaluators: valueOf(evaluators) }),
    flags: Object.fromEntries([[flag, valueOf(node)]]),
  }
  try {
    const definition = readFlagSet(JSON.stringify(alone), 'the file').flags.get(flag)
    if (definition !== undefined) return definition
  } catch (error) {
    throw broken(flag, error instanceof Error ? error.message : '', error)
  }
  throw broken(flag, 'flagd leaves it out')
}

function broken(flag: string, why: string, cause?: unknown): SwitchbackError {
  return new SwitchbackError('SB_FLAG_BROKEN', `evaluating the flag ${quote(flag)} fails: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: 'run switchback validate to see what is wrong',
  })
}

/**
 * Whether the flag's rule depends on the time: then users change sides without an edit.
 *
 * @throws {SwitchbackError} as {@link definitionOf}
 */
export function movesByItself(document: FlagsDocument, flag: string): boolean {
  return readsTime(definitionOf(document, flag).targeting)
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

/** The attributes that the flag's rule reads, shared rules included; of `tenant.id` that is `tenant`. */
export function attributesOf(document: FlagsDocument, flag: string): ReadonlySet<string> {
  const names = new Set<string>()
  const read = (rule: unknown): void => {
    if (typeof rule !== 'object' || rule === null) return
    for (const [operator, operand] of Object.entries(rule)) {
      read(operand)
      if (operator !== 'var') continue
      const [name] = Array.isArray(operand) ? operand : [operand]
      const [attribute = ''] = typeof name === 'string' ? name.split('.') : []
      if (attribute !== '' && !NOT_GIVEN.has(attribute)) names.add(attribute)
    }
  }
  read(definitionOf(document, flag).targeting)
  return names
}

/** What flagd itself puts into each context. */
const NOT_GIVEN: ReadonlySet<string> = new Set(['targetingKey', '$flagd'])

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
