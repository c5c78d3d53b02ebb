import type { EvaluationContext, JsonValue, ResolutionDetails } from '@openfeature/server-sdk'

// flagd hashes the bytes of UTF-8, its JavaScript evaluator UTF-16 units: half of the users with an
// accent in their id would change sides with the resolver. Handed every string as its bytes, one
// character a byte, rules and contexts alike, the evaluator gives flagd's own answers.

// oxlint-disable-next-line no-control-regex
const ASCII = /^[\0-\x7f]*$/

export function toBytes(text: string): string {
  return ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

function fromBytes(text: string): string {
  return ASCII.test(text) ? text : Buffer.from(text, 'latin1').toString('utf8')
}

/** The context as flagd would see it. */
export function contextInBytes(context: EvaluationContext): EvaluationContext {
  const result = mapped(context, toBytes) as EvaluationContext
  // flagd gives other types the flag's default where the JavaScript evaluator would bucket them.
  if (typeof result.targetingKey !== 'string') delete result.targetingKey
  return result
}

export function valueInBytes<T extends JsonValue>(value: T): T {
  return mapped(value, toBytes) as T
}

/** What the evaluator answered, as text again. */
export function resolutionInText<T extends JsonValue>(
  resolution: ResolutionDetails<T>,
): ResolutionDetails<T> {
  return mapped(resolution, fromBytes) as ResolutionDetails<T>
}

function mapped(value: unknown, text: (value: string) => string): unknown {
  if (typeof value === 'string') return text(value)
  if (Array.isArray(value)) return value.map((item) => mapped(item, text))
  if (value === null || typeof value !== 'object' || value instanceof Date) return value
  const result: Record<string, unknown> = {}
  for (const [name, item] of Object.entries(value)) {
    // Assigned, `__proto__` would set the prototype.
    if (name !== '__proto__') result[text(name)] = mapped(item, text)
  }
  return result
}
