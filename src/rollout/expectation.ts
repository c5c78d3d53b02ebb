import { probeUsers } from '../flagfile/index.ts'
import { describe } from './describe.ts'
import type { FlagsDocument } from './document.ts'
import { createEvaluator } from './evaluate.ts'

/** What a process must decide when it decides as a flags file says. */
export interface Expectation {
  readonly probes: number
  /** How many of the probe users go to the new side, for a cache of that name (`''`: without one). */
  on(feature: string): number
  /** Of the flag's definition, as processes tell it; `undefined` where it is not known. */
  readonly hash: string | undefined
}

/** A rule may look at the clock, so that what it gives now is asked for again after this long, in ms. */
const FRESH_MS = 1000

/**
 * Evaluates the fixed probe users by a flags file, as processes do: with the attribute `feature` of the
 * cache and no other.
 *
 * @throws {SwitchbackError} `SB_FLAG_UNKNOWN`, `SB_FLAG_BROKEN`
 */
export function expectationOf(document: FlagsDocument, flag: string): Expectation {
  const evaluate = createEvaluator(document, flag)
  const { on } = describe(document, flag)
  const users = probeUsers(flag)
  const known = new Map<string, { readonly at: number; readonly count: number }>()
  return {
    probes: users.length,
    hash: undefined,
    on(feature) {
      const last = known.get(feature)
      if (last !== undefined && performance.now() - last.at < FRESH_MS) return last.count
      const attributes = feature === '' ? {} : { feature }
      const count = users.filter(
        (targetingKey) => evaluate({ targetingKey, ...attributes }) === on,
      ).length
      known.set(feature, { at: performance.now(), count })
      return count
    },
  }
}
