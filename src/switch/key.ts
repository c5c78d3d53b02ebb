import { MAX_KEY_BYTES, storageKey } from '../cache/index.ts'

/**
 * Refuses what is no key, before anything else happens; the backends name the key themselves.
 *
 * @throws SwitchbackError `SB_KEY_INVALID`, `SB_KEY_TOO_LONG`
 */
export function checkKey(key: string): void {
  // A UTF-16 unit takes at most three bytes, so most keys need not be counted.
  if (typeof key === 'string' && key !== '' && key.length * 3 <= MAX_KEY_BYTES) return
  storageKey(key)
}
