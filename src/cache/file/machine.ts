import { readFileSync } from 'node:fs'

/**
 * Names this run of the operating system; `''` where it does not tell. A new one means that a loss of
 * power may have taken writes that had been acknowledged.
 */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}
