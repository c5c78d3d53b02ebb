import { SwitchbackError, quote } from '../errors.ts'

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** 100 years: an expiry stays a date of 13 digits. */
const MAX_TTL = 36_525 * 86_400_000

/**
 * A time to live in milliseconds, rounded to a whole one.
 *
 * @param ttl milliseconds, or a number with a unit: `'500ms'`, `'30s'`, `'10m'`, `'1.5h'`, `'7d'`
 * @throws SwitchbackError `SB_TTL_INVALID`: no such form, below 1 ms or above 100 years
 */
export function parseTtl(ttl: number | string): number {
  const ms = Math.round(
    typeof ttl === 'string' ? fromText(ttl) : typeof ttl === 'number' ? ttl : NaN,
  )
  if (ms >= 1 && ms <= MAX_TTL) return ms
  throw new SwitchbackError('SB_TTL_INVALID', `${quoteTtl(ttl)} is not a time to live.`, {
    hint: 'Give milliseconds or a string such as "500ms", "30s", "10m", "2h" or "7d"; leave it out for a value that does not expire.',
  })
}

function fromText(text: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h|d)$/.exec(text)
  return match === null ? NaN : Number(match[1]) * (UNITS[match[2] ?? ''] ?? NaN)
}

function quoteTtl(ttl: unknown): string {
  return typeof ttl === 'number' ? String(ttl) : quote(ttl)
}
