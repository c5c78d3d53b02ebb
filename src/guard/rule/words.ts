import type { Stratum } from './count/increment.ts'

export interface Share {
  readonly bad: number
  readonly total: number
}

export function treatmentOf({ badTreatment, treatment }: Stratum): Share {
  return { bad: badTreatment, total: treatment }
}

export function controlOf({ badControl, control }: Stratum): Share {
  return { bad: badControl, total: control }
}

export function badPercentOf({ bad, total }: Share): string {
  return total === 0 ? 'no operations' : sharePercent(bad / total)
}

/** `0.012` as `1.2 %`. */
export function sharePercent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`
}

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, 'days'],
  [3600, 'h'],
  [60, 'min'],
]

function unitOf(seconds: number): readonly [number, string] {
  return UNITS.find(([unit]) => seconds >= 2 * unit) ?? [1, 's']
}

/** E.g. `40 to 85 s`, `6 to 9 min`. */
export function between(low: number, high: number): string {
  const [unit, name] = unitOf(high)
  const [from, to] = [low, high].map((seconds) => round(seconds / unit))
  return from === to ? `${to} ${name}` : `${from} to ${to} ${name}`
}

/** E.g. `45 s`, `20 min`. */
export function lasting(seconds: number): string {
  const [unit, name] = unitOf(seconds)
  return `${round(seconds / unit)} ${name}`
}

/** E.g. `about 640`: two digits are more than an estimate knows. */
export function about(count: number): string {
  return `about ${Number(Math.max(1, Math.ceil(count)).toPrecision(2))}`
}

function round(value: number): number {
  return value < 10 ? Math.round(value * 2) / 2 : Math.round(value)
}
