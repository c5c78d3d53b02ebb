import {
  addPair,
  copyPair,
  designEffect,
  effectiveBuckets,
  emptyPair,
  packPair,
  stratumOf,
  subtractPair,
  unpackPair,
} from './buckets.ts'
import type { ArmPair, PackedPair } from './buckets.ts'
import { edgeOf, increment } from './increment.ts'
import type { Margin, Stratum } from './increment.ts'
import { logMeanExp, logSumExp } from './logarithms.ts'
import { type Recent, RecentOperations } from './recent.ts'

/**
 * How much worse than the margin the bets assume the new side to be: from slow degradation to an
 * outage.
 */
export const HARM_BETS: readonly number[] = [1.1, 1.25, 1.6, 2.5, 6, 30]

const WATCH_EVERY_S = 60
const WATCHES_PER_OCTAVE = 4
/**
 * A bound per second does not grow beyond this with the time between polls: a stall belongs to one
 * poll.
 */
const LONGEST_S = 3

const NOTHING: Stratum = { badTreatment: 0, treatment: 0, badControl: 0, control: 0 }

interface Watch {
  readonly openedAt: number
  mass: number
  readonly log: readonly number[]
  readonly totals: ArmPair
}

/** All of a {@link HarmEvidence}, as JSON can hold it. */
export interface HarmState {
  readonly log: readonly number[]
  readonly totals: PackedPair
  readonly opened: number
  readonly recent: readonly Recent[]
  readonly watches: readonly {
    readonly openedAt: number
    readonly mass: number
    readonly log: readonly number[]
    readonly totals: PackedPair
  }[]
}

export interface HarmReading {
  /**
   * Natural logarithm of the evidence; {@link exact} false: an upper bound, below what was asked
   * for.
   */
  readonly logEvidence: number
  readonly exact: boolean
  /** Of the watch that contributes most: */
  readonly since: number
  readonly counts: Stratum
  readonly designEffect: number
  readonly badBuckets: number
  readonly effectiveBuckets: number
  /** At least half of the new side's operations of the last ten seconds were bad. */
  readonly outage: boolean
}

/**
 * Evidence that the new side is worse than the margin; an e-process, so it may be checked after
 * every poll: P(it ever exceeds 1/alpha | healthy) <= alpha. It sums over watches that start every
 * minute, so that a late regression is found. Proof: docs/adr/0005-e-process.md.
 */
export class HarmEvidence {
  readonly #margin: Margin
  #log: number[] = HARM_BETS.map(() => 0)
  #totals: ArmPair
  /** Used instead of the estimate where a metric is not known by user bucket. */
  readonly #fixedEffect: number
  readonly #perSecond: number
  #watches: Watch[] = []
  #opened = 0
  /** Of the plain totals; undefined while unknown. */
  #runEffect: number | undefined
  #recent = new RecentOperations()

  /** @param perSecond see `MetricRule.harmPerSecond` */
  constructor(margin: Margin, buckets: number, fixedEffect = 1, perSecond: number = Infinity) {
    this.#perSecond = perSecond
    this.#margin = margin
    this.#totals = emptyPair(buckets)
    this.#fixedEffect = fixedEffect
  }

  /**
   * One poll, all of its strata.
   * @param at seconds on any clock that does not go back
   * @param controlRate from {@link Baseline}, before this poll is added to it
   * @param elapsedS since the poll before
   */
  add(at: number, strata: readonly ArmPair[], controlRate: number, elapsedS = 1): void {
    const last = this.#watches.at(-1)
    if (last === undefined || at - last.openedAt >= WATCH_EVERY_S) this.#open(at)
    this.#runEffect = undefined
    const edge = edgeOf(this.#margin, controlRate)
    // Less than the increment still has an expectation of at most one.
    const bounded = Number.isFinite(this.#perSecond)
    const most = bounded ? this.#perSecond * Math.min(elapsedS, LONGEST_S) : Infinity
    const counts = strata.map((pair) => stratumOf(pair))
    for (let j = 0; j < HARM_BETS.length; j++) {
      const bet = Math.min(1, HARM_BETS[j]! * edge)
      if (bet <= edge) continue
      let gained = 0
      for (const stratum of counts) {
        gained += increment(this.#margin, stratum, bet, controlRate)
      }
      this.#log[j]! += Math.min(gained, most)
    }
    for (const pair of strata) addPair(this.#totals, pair)
    const recent = { at, bad: 0, total: 0 }
    for (const { badTreatment, treatment } of counts) {
      recent.bad += badTreatment
      recent.total += treatment
    }
    this.#recent.add(recent)
  }

  /**
   * @param atLeast the evidence that would matter: when even an upper bound is below it, the costly
   * exact value is not computed. Since no D is smaller than the run's and the masses sum to at most
   * 1, no evidence is larger than `exp(max(L, 0) / D)` of the best bet in the best watch.
   */
  read(atLeast: number = -Infinity): HarmReading {
    const bound = this.#bound() / this.#effect(undefined)
    if (bound < atLeast) {
      const nothing = {
        since: 0,
        counts: NOTHING,
        designEffect: 1,
        badBuckets: 0,
        effectiveBuckets: 0,
      }
      return { logEvidence: bound, exact: false, ...nothing, outage: false }
    }
    const values = this.#watches.map((watch) => Math.log(watch.mass) + this.#value(watch))
    const strongest = this.#watches[values.indexOf(Math.max(...values))]
    const totals = strongest ? subtractPair(this.#totals, strongest.totals) : this.#totals
    return {
      logEvidence: logSumExp(values),
      exact: true,
      since: strongest?.openedAt ?? 0,
      counts: stratumOf(totals),
      designEffect: this.#effect(strongest),
      badBuckets: totals.treatment.bad.filter((bad) => bad > 0).length,
      effectiveBuckets: Math.min(
        effectiveBuckets(totals.treatment),
        effectiveBuckets(totals.control),
      ),
      outage: this.#recent.outage,
    }
  }

  /** Since the beginning. */
  get totals(): ArmPair {
    return this.#totals
  }

  get watches(): number {
    return this.#watches.length
  }

  state(): HarmState {
    return {
      log: this.#log,
      totals: packPair(this.#totals),
      opened: this.#opened,
      recent: this.#recent.state(),
      watches: this.#watches.map((watch) => ({ ...watch, totals: packPair(watch.totals) })),
    }
  }

  /** Continues where another process stopped. */
  restore(state: HarmState): void {
    this.#log = [...state.log]
    this.#totals = unpackPair(state.totals)
    this.#opened = state.opened
    this.#recent = new RecentOperations(state.recent)
    this.#watches = state.watches.map((watch) => ({ ...watch, totals: unpackPair(watch.totals) }))
  }

  #bound(): number {
    let bound = 0
    for (const watch of this.#watches) {
      for (let j = 0; j < HARM_BETS.length; j++) {
        bound = Math.max(bound, this.#log[j]! - watch.log[j]!)
      }
    }
    return bound
  }

  /**
   * Never less than the whole run's: a young watch that has seen two users retry sees no
   * overdispersion yet, but the run may know these users' habits.
   */
  #effect(watch: Watch | undefined): number {
    if (this.#totals.control.total.length === 1) return this.#fixedEffect
    const run = (this.#runEffect ??= designEffect(this.#totals))
    if (watch === undefined) return run
    return Math.max(run, designEffect(subtractPair(this.#totals, watch.totals)))
  }

  #value(watch: Watch): number {
    const d = this.#effect(watch)
    return logMeanExp(this.#log.map((l, j) => (l - watch.log[j]!) / d))
  }

  #open(at: number): void {
    const mass = 1 / ((this.#opened + 1) * (this.#opened + 2))
    this.#opened++
    this.#watches.push({ openedAt: at, mass, log: [...this.#log], totals: copyPair(this.#totals) })
    this.#thin(at)
  }

  /**
   * Of two watches of about the same age the older one stays. It inherits the mass of the other,
   * less where it has less evidence: thinning never increases the sum, so the guarantee holds.
   */
  #thin(at: number): void {
    const kept: Watch[] = []
    let slot = Infinity
    for (const watch of this.#watches) {
      const age = Math.max(1, (at - watch.openedAt) / WATCH_EVERY_S)
      const mine = age < 2 ? -at + watch.openedAt : Math.floor(WATCHES_PER_OCTAVE * Math.log2(age))
      const older = kept.at(-1)
      if (mine === slot && older !== undefined) {
        older.mass += watch.mass * Math.exp(Math.min(0, this.#value(watch) - this.#value(older)))
      } else {
        kept.push(watch)
        slot = mine
      }
    }
    this.#watches = kept
  }
}
