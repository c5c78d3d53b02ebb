import type { Side } from '../../side.ts'

/** What the backends of this package are called. */
const TITLES: Readonly<Record<string, string>> = { redis: 'Redis', file: 'files', memory: 'memory' }

/** `Redis (new side)`; `new side` where the store is not known. */
export function sideName(side: Side, backend: string): string {
  const name = side === 'on' ? 'new side' : 'old side'
  return backend === '' ? name : `${TITLES[backend] ?? backend} (${name})`
}

/** Seconds over which the page's rates are taken. */
const WINDOW_S = 5
/** With fewer bad operations in that time, a ratio is not painted red: one of ten is no tenth. */
const LEAST_BAD = 3

/** Whether a share of so many operations a second is more than a few that may be chance. */
export function isEnough(share: number, perSecond: number): boolean {
  return share * perSecond * WINDOW_S >= LEAST_BAD - 1e-9
}
