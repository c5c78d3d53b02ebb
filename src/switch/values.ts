import { type Entry, NEVER, parseTtl, type SetOptions, type Ttl } from '../cache/index.ts'
import { type Codec, encodeValue } from './codec.ts'
import type { Notify } from './events.ts'
import { oneLine } from './guarded-side.ts'

export interface ValuesParts {
  readonly codec: Codec
  readonly maxValueBytes: number
  readonly defaultTtl: Ttl | undefined
  readonly notify: Notify
}

/** Between the values of business code and the text that both sides store. */
export class Values {
  readonly #parts: ValuesParts

  constructor(parts: ValuesParts) {
    this.#parts = parts
  }

  /** @throws SwitchbackError `SB_VALUE_UNDEFINED`, `SB_VALUE_NOT_SERIALIZABLE`, `SB_VALUE_TOO_LARGE` */
  encode(value: unknown): string {
    return encodeValue(this.#parts.codec, value, this.#parts.maxValueBytes)
  }

  /** A loaded value that cannot be cached is still the answer: undefined, and one log line. */
  encodeLoaded(value: unknown): string | undefined {
    if (value === undefined) return undefined
    try {
      return this.encode(value)
    } catch (error) {
      this.#parts.notify({ type: 'value-not-cached', detail: oneLine(error) })
      return undefined
    }
  }

  /** Undefined for a payload that another version or another codec wrote. */
  decode<T>(payload: string): T | undefined {
    try {
      return this.#parts.codec.decode(payload) as T
    } catch {
      return undefined
    }
  }

  /** Milliseconds; `Infinity` for a value that does not expire. */
  ttlOf(options: SetOptions | undefined): number {
    const ttl = options?.ttl ?? this.#parts.defaultTtl
    return ttl === undefined ? Number.POSITIVE_INFINITY : parseTtl(ttl)
  }

  entry(payload: string, ttlMs: number): Entry {
    return { payload, expiresAt: Math.min(Date.now() + ttlMs, NEVER) }
  }
}
