import type { Series } from '../../scrape/index.ts'
import type { Side } from '../../side.ts'
import { counts, type SwitchScrapes } from './switch-scrapes.ts'
import { type Arms, bucketsOf, emptyArms, indexOf } from './vector.ts'

/** What switches do, in the place of the cache. */
interface SwitchArms {
  readonly arms: Arms
  readonly backends: Record<Side, string>
  readonly outSeconds: Record<Side, number>
}

/**
 * The switches of a flag as one pair of sides; `undefined` where no switch has the flag, or a cache
 * has it too.
 *
 * @param said what the process decides: each series of the flag names its cache or switch
 */
export function armsOfSwitches(
  flag: string,
  switches: SwitchScrapes,
  said: readonly Series[],
): SwitchArms | undefined {
  const own = [...switches].filter(([, one]) => one.flag === flag)
  const names = new Set(own.map(([name]) => name))
  const cacheHasIt = said.some(
    ({ labels }) =>
      labels['flag'] === flag &&
      labels['switch'] === undefined &&
      !names.has(labels['feature'] ?? ''),
  )
  if (own.length === 0 || cacheHasIt) return undefined
  const sum = {
    arms: emptyArms(),
    backends: { off: '', on: '' },
    outSeconds: { off: 0, on: 0 },
  }
  for (const [, one] of own) {
    for (const side of ['off', 'on'] as const) {
      sum.backends[side] ||= one.names[side]
      sum.outSeconds[side] = Math.max(sum.outSeconds[side], one.outSeconds[side])
      const arm = sum.arms[side]
      const buckets = bucketsOf(arm)
      for (const arms of one.methods.values()) {
        const { operations, bad, fellBack, latency } = counts(arms[side])
        arm[indexOf('operations')]! += operations
        arm[indexOf('failed')]! += bad
        // A call that fell back was answered, so only the failed ones are lost.
        arm[indexOf('lost')]! += bad
        arm[indexOf('fellBack')]! += fellBack
        for (let i = 0; i < buckets.length; i++) buckets[i]! += latency[i]!
      }
    }
  }
  return sum
}
