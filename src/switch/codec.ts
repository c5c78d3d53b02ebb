import { SwitchbackError } from '../errors.ts'

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
    if (text === undefined) throw new TypeError(`JSON has no form for a ${typeof value}`)
    return text
  },
  decode(payload) {
    return JSON.parse(payload)
  },
}

/** Encodes within the size limit, with errors that tell the caller what to change. */
export function encodeValue(codec: Codec, value: unknown, maxBytes: number): string {
  if (value === undefined) {
    throw new SwitchbackError('SB_VALUE_UNDEFINED', 'undefined cannot be cached', {
      hint: 'undefined means "not cached"; cache null to remember that there is nothing',
    })
  }
  let payload: string
  try {
    payload = codec.encode(value)
  } catch (cause) {
    throw new SwitchbackError(
      'SB_VALUE_NOT_SERIALIZABLE',
      `a ${typeof value} could not be encoded`,
      {
        cause,
        hint: 'cache a value of JSON shape, or pass a codec that can encode it',
      },
    )
  }
  // A UTF-16 unit takes at most three bytes, so most values need not be counted.
  if (payload.length * 3 > maxBytes) {
    const bytes = Buffer.byteLength(payload)
    if (bytes > maxBytes) {
      throw new SwitchbackError(
        'SB_VALUE_TOO_LARGE',
        `the encoded value has ${bytes} bytes; the limit is ${maxBytes}`,
        { hint: 'cache something smaller, or raise maxValueBytes' },
      )
    }
  }
  return payload
}
