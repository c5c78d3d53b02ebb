import type { Side } from '../../side.ts'

/** What the backends of this package are called. */
const TITLES: Readonly<Record<string, string>> = { redis: 'Redis', file: 'files', memory: 'memory' }

/** `Redis (new side)`; `new side` where the store is not known. */
export function sideName(side: Side, backend: string): string {
  const name = side === 'on' ? 'new side' : 'old side'
  return backend === '' ? name : `${TITLES[backend] ?? backend} (${name})`
}

/** Seconds over which the page's rates are taken. */
export const WINDOW_S = 5
/** With fewer bad operations in that time, a ratio is not painted red: one of ten is no tenth. */
const LEAST_BAD = 3

/** With fewer operations in that time, the slowest of a hundred is the slowest of a handful. */
const LEAST_FOR_P99 = 50

/** Whether a 99th percentile of so many operations a second says anything. */
export function isEnoughForP99(perSecond: number): boolean {
  return perSecond * WINDOW_S >= LEAST_FOR_P99
}

/** Whether a share of so many operations a second is more than a few that may be chance. */
export function isEnough(share: number, perSecond: number): boolean {
  return share * perSecond * WINDOW_S >= LEAST_BAD - 1e-9
}
