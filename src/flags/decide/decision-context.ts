import type { EvaluationContext } from '@openfeature/server-sdk'
import type { DecisionContext } from './decision.ts'

/**
 * The targeting key as a string: flagd buckets strings only and gives a number the flag's default,
 * and plain JavaScript callers may pass a number.
 */
export function targetingKeyIn(context: DecisionContext): string | undefined {
  const key: unknown = context.targetingKey
  if (typeof key === 'string') return key
  if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean') {
    return String(key)
  }
  return undefined
}

/** What the provider is asked with. `feature` is the cache's name, whatever the context says. */
export function evaluationContext(
  context: DecisionContext,
  feature: string | undefined,
): EvaluationContext {
  const { targetingKey: _, ...attributes } = context
  const result = attributes as EvaluationContext
  const key = targetingKeyIn(context)
  if (key !== undefined) result.targetingKey = key
  if (feature !== undefined) result['feature'] = feature
  return result
}

/** First character of every key that is not a targeting key as it stands. */
const MARK = '\0'
const frozenKeys = new WeakMap<DecisionContext, string>()

/**
 * What a decision is remembered under: the targeting key itself for a context of nothing else (no
 * allocation, the hot path), else all attributes, sorted. Two contexts share a key only if they say
 * the same.
 */
export function memoryKeyOf(context: DecisionContext): string {
  const key = targetingKeyIn(context)
  if (key !== undefined && key.charCodeAt(0) !== 0 && onlyTargetingKey(context)) return key
  const known = frozenKeys.get(context)
  if (known !== undefined) return known
  const canonical = MARK + attributesOf({ ...context, targetingKey: key })
  // Only a context that can no longer change may be cached by its identity.
  if (cannotChange(context)) frozenKeys.set(context, canonical)
  return canonical
}

/** Freezing an object does not freeze what it contains, so its parts are checked as well. */
function cannotChange(context: DecisionContext): boolean {
  return Object.isFrozen(context) && Object.values(context).every((part) => Object(part) !== part)
}

function onlyTargetingKey(context: DecisionContext): boolean {
  for (const name in context) {
    if (name !== 'targetingKey' && context[name] !== undefined) return false
  }
  return true
}

function attributesOf(object: object): string {
  let text = '{'
  const values = object as Record<string, unknown>
  for (const name of Object.keys(object).sort()) {
    const value = values[name]
    if (value !== undefined) text += `${JSON.stringify(name)}:${canonicalOf(value)},`
  }
  return `${text}}`
}

/** Injective, unlike JSON: NaN is not null, -0 is not 0, a Date is not its text. */
function canonicalOf(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'bigint':
      return `${value}n`
    case 'object':
      if (value === null) return 'null'
      if (value instanceof Date) return `@${value.getTime()}`
      if (Array.isArray(value)) return `[${value.map(canonicalOf).join(',')}]`
      return attributesOf(value)
    default:
      return String(value)
  }
}
