import { quote, SwitchbackError } from '../../errors.ts'
import { type JsonNode, property } from '../file/document.ts'
import type { Shape } from './shape.ts'
import type { Sides, Split } from './split.ts'

/** A share of users in thousandths of a percent, 0 to 100,000, so that it is always exact. */
export type Thousandths = number

const whole: Thousandths = 100_000

/**
 * Reads a share in per cent with at most three decimals: `25`, `'0.125'`, `'10%'`.
 *
 * @throws {SwitchbackError} `SB_SHARE_INVALID` for anything else.
 */
export function parseShare(share: number | string): Thousandths {
  const text = typeof share === 'number' ? String(Number(share.toFixed(9))) : share.trim()
  const match = /^(\d{1,3})(?:\.(\d{1,3}))?%?$/.exec(text)
  const value =
    match === null ? NaN : Number(match[1]) * 1000 + Number((match[2] ?? '').padEnd(3, '0'))
  if (!(value <= whole)) {
    throw new SwitchbackError('SB_SHARE_INVALID', `${quote(share)} is not a share in percent`, {
      hint: 'write a number from 0 to 100 with at most three decimals, e.g. 25 or 0.5',
    })
  }
  return value
}

/** In per cent, e.g. `12.5`. */
export function percentOf(share: Thousandths): number {
  return share / 1000
}

/** Totals that are easy to read. */
const plainTotals = [100, 1000, 10_000, whole]

/**
 * Whole weights whose ratio is exactly the share: the smallest plain total that can express it, or
 * the current total if a person chose one of their own (say 7) and it can.
 *
 * Changing the total moves no user: a user is on while `hash x total / 2^32` is below `on`, so only
 * the ratio `on / total` counts.
 */
export function weightsFor(share: Thousandths, total: number): { on: number; off: number } {
  const fits = (candidate: number) =>
    candidate > 0 && (BigInt(share) * BigInt(candidate)) % BigInt(whole) === 0n
  const own = plainTotals.includes(total) ? [] : [total]
  const sum = [...own, ...plainTotals].find(fits) ?? whole
  const on = Number((BigInt(share) * BigInt(sum)) / BigInt(whole))
  return { on, off: sum - on }
}

/** The share that two weights give, rounded to a thousandth of a per cent. */
export function shareOfWeights(split: Split): Thousandths {
  return Math.round((split.on.weight / split.total) * whole)
}

/**
 * The share of users that the split (not its segments) sends to `on`. With both weights 0, and
 * without targeting, everyone gets the default variant. `undefined` for unknown shapes.
 */
export function shareOf(
  flag: JsonNode,
  shape: Shape,
  sides: Sides | undefined,
): Thousandths | undefined {
  if (shape.kind === 'unknown') return undefined
  if (shape.kind !== 'none' && shape.split.total > 0) return shareOfWeights(shape.split)
  return property(flag, 'defaultVariant')?.value === sides?.on ? whole : 0
}
