import type { Answer, Resolution } from './flag-set.ts'
import type { FlagStore } from './flag-store.ts'
import { isObject } from './json.ts'
import type { JsonObject, JsonValue } from './json.ts'
import type { SidecarMetrics } from './metrics.ts'
import type { ValueTypeName } from './protocol.ts'
import { ResolveError } from './resolve-error.ts'

/** Resolves flags as values of a type, and counts what it answered. */
export class Evaluator {
  readonly #store: FlagStore
  readonly #metrics: SidecarMetrics

  constructor(store: FlagStore, metrics: SidecarMetrics) {
    this.#store = store
    this.#metrics = metrics
  }

  /** @throws ResolveError */
  resolve(type: ValueTypeName, key: string, context: JsonObject): Answer {
    const answer = typed(type, this.#store.current.asking(context)(key))
    this.#metrics.evaluated(key, answer)
    if (answer instanceof ResolveError) throw answer
    return answer
  }

  /** Every flag but those that fail. */
  resolveAll(context: JsonObject): Map<string, Answer> {
    const answers = new Map<string, Answer>()
    const { keys, asking } = this.#store.current
    const resolve = asking(context)
    for (const key of keys) {
      const resolution = resolve(key)
      if ('errorCode' in resolution) {
        this.#metrics.evaluated(key, new ResolveError(resolution.errorCode))
      } else {
        this.#metrics.evaluated(key, resolution)
        answers.set(key, resolution)
      }
    }
    return answers
  }
}

function typed(type: ValueTypeName, resolution: Resolution): Answer | ResolveError {
  if ('errorCode' in resolution) return new ResolveError(resolution.errorCode)
  const { value } = resolution
  if (value === undefined) return resolution
  if (!fits(type, value)) return new ResolveError('TYPE_MISMATCH')
  return type === 'Int' ? { ...resolution, value: Math.trunc(value as number) } : resolution
}

function fits(type: ValueTypeName, value: JsonValue): boolean {
  switch (type) {
    case 'Boolean':
      return typeof value === 'boolean'
    case 'String':
      return typeof value === 'string'
    case 'Float':
    case 'Int':
      return typeof value === 'number'
    case 'Object':
      return isObject(value)
  }
}
