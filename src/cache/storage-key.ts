import { hash, randomUUID } from 'node:crypto'
import { SwitchbackError, quote } from '../errors.ts'

/** Longest key, in bytes of UTF-8. */
export const MAX_KEY_BYTES = 65_536

/** Longest key that a store keeps as it is, in UTF-16 code units. Longer ones are hashed. */
const MAX_PLAIN_LENGTH = 128

const PLAIN_ASCII = /^[ -"$-~][ -~]*$/
// No control characters, no lone surrogates (which UTF-8 cannot carry), and never a leading `#`.
const PLAIN = /^(?!#)[^\p{Cc}\p{Cs}]+$/u

/**
 * Refuses an invalid key, before anything else happens; the backends name the key themselves.
 *
 * @throws SwitchbackError `SB_KEY_INVALID`, `SB_KEY_TOO_LONG`
 */
export function checkKey(key: string): void {
  // A UTF-16 unit takes at most three bytes, so most keys need not be counted.
  if (typeof key === 'string' && key !== '' && key.length * 3 <= MAX_KEY_BYTES) return
  storageKey(key)
}

/**
 * The name under which a store keeps a key: unique for every string, at most 384 bytes of UTF-8,
 * without control characters. A short, well-formed key is its own name, so that an operator can find
 * it; any other becomes `#` and the SHA-256 of its UTF-16 code units in base64url. A key that begins
 * with `#` is always hashed, so the two kinds never meet.
 *
 * @throws SwitchbackError `SB_KEY_INVALID`: not a string, or empty; `SB_KEY_TOO_LONG`: over 64 KiB of
 * UTF-8.
 */
export function storageKey(key: string): string {
  if (typeof key !== 'string' || key === '') {
    throw new SwitchbackError(
      'SB_KEY_INVALID',
      `A cache key must be a string that is not empty; got ${quote(key)}.`,
      {
        hint: 'Build the key from something stable, such as `user:${id}`, and check that the id is set.',
      },
    )
  }
  if (key.length <= MAX_PLAIN_LENGTH && (PLAIN_ASCII.test(key) || PLAIN.test(key))) return key
  if (beginning !== undefined && key.startsWith(beginning)) return key.slice(beginning.length)
  // A UTF-16 code unit takes at most 3 bytes of UTF-8.
  if (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new SwitchbackError(
      'SB_KEY_TOO_LONG',
      `A cache key may have ${MAX_KEY_BYTES} bytes of UTF-8; ${quote(key)} has ${Buffer.byteLength(key)}.`,
      { hint: 'Use a digest of the long part as the key.' },
    )
  }
  return hashedKey(key)
}

/** The name of a key that a store cannot keep as it is. */
export function hashedKey(key: string): string {
  return `#${hash('sha256', Buffer.from(key, 'utf16le'), 'base64url')}`
}

/** Nobody else has a key that begins with it. Made when first needed: what makes it takes a while to load. */
let beginning: string | undefined

/** Whether `keyNamed` made it of a name that is not a key. */
export function isNamedKey(key: string): boolean {
  return beginning !== undefined && key.startsWith(beginning)
}

/** A key of which only the name is known: it stands for whatever key has this name in a store. */
export function keyNamed(name: string): string {
  if (!name.startsWith('#')) return name
  beginning ??= `#${randomUUID()}`
  return beginning + name
}
