import { readFileSync } from 'node:fs'

/**
 * Names this run of the operating system; `''` where it is unknown. A new one means that a power
 * loss may have taken acknowledged writes.
 */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/** Boot ids that a store remembers beside the present one. */
const FORMER = 8

/**
 * How the boot id of the opening process relates to a store. `former` are the ids under which it
 * was used before, the latest first.
 *
 * - An id that cannot be read equals any.
 * - One that the store has left before is a second running machine: two machines on one directory
 *   would take turns in resetting it.
 */
export function judgeBoot(
  bootId: string,
  stored: string,
  former: string,
): 'same' | 'restarted' | 'shared' {
  if (bootId === '' || stored === '' || bootId === stored) return 'same'
  return former.split(' ').includes(bootId) ? 'shared' : 'restarted'
}

/** The former boot ids of a store that leaves `stored` behind. */
export function formerBoots(stored: string, former: string): string {
  const ids = [stored, ...former.split(' ')].filter((id) => id !== '')
  return [...new Set(ids)].slice(0, FORMER).join(' ')
}
