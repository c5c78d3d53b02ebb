import { USER_BUCKETS } from '../metrics.ts'
import type { Plan } from './plan/plan.ts'
import { sum } from './rule/index.ts'
import type { ArmPair, Stratum } from './rule/index.ts'
import { difference } from './samples/difference.ts'
import type { Difference } from './samples/difference.ts'
import type { ArmReading, Reading } from './samples/reading.ts'

const SMALLEST_BOUND_S = 0.0005

/** What all replicas did between two polls, in the judge's form. */
export interface Observation {
  readonly elapsedS: number
  readonly differences: readonly Difference[]
  readonly strata: ReadonlyMap<string, readonly ArmPair[]>
}

type Counts = { -readonly [K in keyof Stratum]: number }

/** Turns readings into strata, and freezes the boundary of slow operations on the way. */
export class Observer {
  /** In seconds; undefined until the old side's latency is known. */
  slowBoundS: number | undefined
  /** By replica, since {@link beginStep}. */
  readonly replicas: Map<string, Counts> = new Map()
  readonly #plan: Plan
  readonly #before = new Map<string, Reading>()
  readonly #latency = new Map<number, number>()
  readonly #slow = new Map<number, number>()
  #operations = 0
  #seconds = 0

  constructor(plan: Plan, slowBoundS?: number) {
    this.#plan = plan
    this.slowBoundS = slowBoundS
  }

  beginStep(): void {
    this.replicas.clear()
  }

  observe(readings: readonly Reading[]): Observation {
    const differences: Difference[] = []
    for (const reading of readings) {
      const found = difference(this.#before.get(reading.replica), reading)
      this.#before.set(reading.replica, reading)
      if (found !== undefined) differences.push(found)
    }
    for (const one of differences) this.#count(one)
    const elapsedS = Math.max(0, ...differences.map((one) => one.elapsedS))
    this.#seconds += elapsedS
    const frozen = this.slowBoundS === undefined ? this.#freeze() : undefined
    const strata = new Map(
      this.#plan.metrics.map(({ id }) => [id, differences.flatMap((one) => this.#pair(id, one))]),
    )
    // Operations before the boundary was known are the baseline of slow operations.
    if (frozen !== undefined) strata.set('slow', [frozen])
    return { elapsedS, differences, strata }
  }

  #pair(id: string, { arms, selected }: Difference): ArmPair[] {
    const { off, on } = arms
    const pair = (pick: (arm: ArmReading) => Float64Array | undefined): ArmPair[] => [
      {
        control: { bad: pick(off) ?? new Float64Array(USER_BUCKETS), total: off.operations },
        treatment: { bad: pick(on) ?? new Float64Array(USER_BUCKETS), total: on.operations },
      },
    ]
    const bound = this.slowBoundS
    if (id === 'errors') return pair((arm) => arm.bad)
    if (id === 'repeat-misses') return pair((arm) => arm.repeatMisses)
    if (id === 'slow') return bound === undefined ? [] : pair((arm) => arm.slow.get(bound))
    const custom = this.#plan.custom.find((metric) => metric.id === id)
    if (custom === undefined) return []
    const bad = selected.get(custom.bad.text)
    const total = selected.get(custom.total.text)
    const one = (side: 'off' | 'on'): ArmPair['control'] => ({
      bad: Float64Array.of(Math.min(bad?.[side] ?? 0, total?.[side] ?? 0)),
      total: Float64Array.of(total?.[side] ?? 0),
    })
    return [{ control: one('off'), treatment: one('on') }]
  }

  #count({ replica, arms }: Difference): void {
    const counts = this.replicas.get(replica) ?? {
      badTreatment: 0,
      treatment: 0,
      badControl: 0,
      control: 0,
    }
    counts.badTreatment += sum(arms.on.bad)
    counts.treatment += sum(arms.on.operations)
    counts.badControl += sum(arms.off.bad)
    counts.control += sum(arms.off.operations)
    this.replicas.set(replica, counts)
    if (this.slowBoundS !== undefined) return
    this.#operations += sum(arms.off.operations)
    for (const [bound, count] of arms.off.latency) {
      this.#latency.set(bound, (this.#latency.get(bound) ?? 0) + count)
    }
    for (const [bound, list] of arms.off.slow) {
      this.#slow.set(bound, (this.#slow.get(bound) ?? 0) + sum(list))
    }
  }

  /**
   * The first boundary of the histogram at or above both control's 99th percentile and the latency
   * budget. Without the budget, a healthy cache on the network would lose to a local file.
   */
  #freeze(): ArmPair | undefined {
    if (this.#operations < (this.#plan.judge.baselineOperations ?? 3000)) return undefined
    if (this.#seconds < this.#plan.baselineS) return undefined
    const bounds = [...this.#latency.keys()]
      .filter((bound) => Number.isFinite(bound) && bound >= SMALLEST_BOUND_S)
      .sort((a, b) => a - b)
    const fits = (bound: number): boolean =>
      bound >= this.#plan.latencyBudgetS && this.#latency.get(bound)! >= 0.99 * this.#operations
    this.slowBoundS = bounds.find((bound) => fits(bound)) ?? bounds.at(-1)
    if (this.slowBoundS === undefined) return undefined
    const zeros = (): Float64Array => new Float64Array(USER_BUCKETS)
    const control = { bad: zeros(), total: zeros() }
    control.bad[0] = this.#slow.get(this.slowBoundS) ?? 0
    control.total[0] = this.#operations
    return { control, treatment: { bad: zeros(), total: zeros() } }
  }
}
