import {
  type Entry,
  type GetOrSetOptions,
  NEVER,
  parseTtl,
  type SetOptions,
  type Ttl,
} from '../cache/index.ts'
import { oneLine, quote, SwitchbackError } from '../errors.ts'
import { checkNames, type NamesOf, requireOption } from '../options.ts'
import type { Notify } from './events.ts'
import type { Grace } from './grace.ts'

/**
 * Turns values into text and back. Both sides store the same text, so that a value may move between
 * them. `decode(encode(v))` must equal `v` for every value that the application caches.
 */
export interface Codec {
  encode(value: unknown): string
  decode(payload: string): unknown
}

export const jsonCodec: Codec = {
  encode(value) {
    const text = JSON.stringify(value) as string | undefined
    if (text === undefined) throw new TypeError(`JSON cannot represent a ${typeof value}`)
    return text
  },
  decode(payload) {
    return JSON.parse(payload)
  },
}

const CALL: NamesOf<GetOrSetOptions> = {
  ttl: true,
  jitter: true,
  grace: true,
  softTimeout: true,
  signal: true,
}

/** @throws SwitchbackError `SB_OPTION_INVALID` unless it is a share */
export function checkJitter(call: string, option: string, jitter: number): void {
  const hint = 'give a share from 0 to 1: 0.1 shortens each lifetime by up to a tenth'
  requireOption(jitter >= 0 && jitter <= 1, call, option, jitter, hint)
}

export interface ValuesParts {
  readonly codec: Codec
  readonly maxValueBytes: number
  readonly defaultTtl: Ttl | undefined
  /** @default 0 */
  readonly ttlJitter?: number
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
    const { codec, maxValueBytes } = this.#parts
    if (value === undefined) {
      throw new SwitchbackError('SB_VALUE_UNDEFINED', 'undefined cannot be cached', {
        hint: 'undefined means "not cached"; cache null to remember that there is nothing',
      })
    }
    let payload: string
    try {
      payload = codec.encode(value)
    } catch (cause) {
      const what = `a ${typeof value} could not be encoded`
      const hint = 'cache a value that JSON can represent, or pass a codec that can encode it'
      throw new SwitchbackError('SB_VALUE_NOT_SERIALIZABLE', what, { cause, hint })
    }
    // A UTF-16 unit takes at most three bytes, so most values need not be counted.
    const bytes = payload.length * 3 > maxValueBytes ? Buffer.byteLength(payload) : 0
    if (bytes <= maxValueBytes) return payload
    throw new SwitchbackError(
      'SB_VALUE_TOO_LARGE',
      `the encoded value has ${bytes} bytes; the limit is ${maxValueBytes}`,
      { hint: 'cache something smaller, or raise maxValueBytes' },
    )
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

  /** Undefined for a payload of another version or another codec. */
  decode<T>(payload: string): T | undefined {
    try {
      return this.#parts.codec.decode(payload) as T
    } catch {
      return undefined
    }
  }

  /** Milliseconds; `Infinity` for a value that does not expire. */
  ttlOf(options: SetOptions | undefined): number {
    if (options !== undefined && typeof options !== 'object') {
      throw new SwitchbackError('SB_TTL_INVALID', `${quote(options)} is not an object of options`, {
        hint: 'write { ttl: "10m" }',
      })
    }
    // A misspelt `ttl` would be a value that never expires.
    if (options !== undefined && options.ttl === undefined)
      checkNames('the operation', options, CALL)
    const { defaultTtl, ttlJitter = 0 } = this.#parts
    const ttl = options?.ttl ?? defaultTtl
    if (ttl === undefined) return Number.POSITIVE_INFINITY
    const jitter = options?.jitter ?? ttlJitter
    const ms = parseTtl(ttl)
    if (jitter === 0) return ms
    checkJitter('the operation', 'jitter', jitter)
    return Math.max(1, Math.round(ms * (1 - jitter * Math.random())))
  }

  /** How long an expired value may be served, and after how long instead of waiting; `undefined`: never. */
  graceOf(options: GetOrSetOptions | undefined): Grace | undefined {
    const { grace, softTimeout } = options ?? {}
    // The way of a hit ends here.
    if (grace === undefined && softTimeout === undefined) return undefined
    if (grace !== undefined) {
      const softMs = softTimeout === undefined ? undefined : parseTtl(softTimeout)
      return { graceMs: parseTtl(grace), softMs }
    }
    const hint = 'give a grace too: { grace: "1m", softTimeout: "200ms" }'
    requireOption(false, 'getOrSet', 'softTimeout', softTimeout, hint)
    return undefined
  }

  entry(payload: string, ttlMs: number): Entry {
    return { payload, expiresAt: Math.min(Date.now() + ttlMs, NEVER) }
  }
}
