import type { Plan } from '../plan/plan.ts'
import { likelihoodOfWell, sum } from '../rule/index.ts'
import type { ArmPair, Disagreement, Stratum } from '../rule/index.ts'
import { difference } from '../samples/difference.ts'
import type { Difference } from '../samples/difference.ts'
import type { ArmCounters, Reading } from '../samples/reading.ts'

/** What all replicas did between two polls, as the judge wants it. */
export interface Observation {
  readonly elapsedS: number
  readonly differences: readonly Difference[]
  /** By metric id and replica. */
  readonly strata: ReadonlyMap<string, ReadonlyMap<string, ArmPair>>
}

/** Evidence of a thousand to one that a replica is as the others again. */
const SURE = Math.log(1000)
/** What a replica did is forgotten with this time constant, in seconds: an alarm must not outlive its cause. */
const FORGET_S = 120

type Counts = { -readonly [K in keyof Stratum]: number }

/** Turns readings into strata. */
export class Observer {
  /** By replica, since {@link beginStep}. */
  readonly replicas: Map<string, Counts> = new Map()
  readonly #plan: Plan
  readonly #before = new Map<string, Reading>()
  /** What each replica did in the latest poll. */
  #latest: ReadonlyMap<string, Stratum> = new Map()
  /** Evidence that a disagreement is over, by what it is about. */
  readonly #well = new Map<string, number>()

  constructor(plan: Plan) {
    this.#plan = plan
  }

  beginStep(): void {
    this.replicas.clear()
    this.#well.clear()
  }

  observe(readings: readonly Reading[]): Observation {
    const differences: Difference[] = []
    for (const reading of readings) {
      const found = difference(this.#before.get(reading.replica), reading)
      this.#before.set(reading.replica, reading)
      if (found !== undefined) differences.push(found)
    }
    const elapsedS = Math.max(0, ...differences.map((one) => one.elapsedS))
    this.#forget(Math.exp(-elapsedS / FORGET_S))
    this.#latest = new Map(differences.map((one) => [one.replica, countsOf(one)]))
    for (const [replica, counts] of this.#latest) this.#count(replica, counts)
    const strata = new Map(
      this.#plan.metrics.map(({ id }) => [id, this.#byReplica(id, differences)]),
    )
    return { elapsedS, differences, strata }
  }

  /**
   * The disagreements that last. Of one that is over its counts are forgotten, which alone would take minutes.
   */
  lasting(found: readonly Disagreement[]): Disagreement[] {
    const keys = new Set(found.map(({ replica, of }) => `${of} ${replica}`))
    for (const key of this.#well.keys()) if (!keys.has(key)) this.#well.delete(key)
    return found.filter((one) => {
      const { replica, of } = one
      const key = `${of} ${replica}`
      const poll = this.#latest.get(replica)
      if (poll === undefined) return true
      const [bad, total] = operationsOf(of, poll)
      const well = Math.max(0, (this.#well.get(key) ?? 0) + likelihoodOfWell(one, bad, total))
      this.#well.set(key, well)
      if (well < SURE) return true
      this.#well.delete(key)
      // All of it: half of its counts would not be comparable with the others'.
      this.replicas.delete(replica)
      return false
    })
  }

  #forget(kept: number): void {
    for (const counts of this.replicas.values()) {
      counts.badTreatment *= kept
      counts.treatment *= kept
      counts.badControl *= kept
      counts.control *= kept
    }
  }

  #byReplica(id: string, differences: readonly Difference[]): Map<string, ArmPair> {
    const found = new Map<string, ArmPair>()
    for (const one of differences) {
      const pair = this.#pair(id, one)
      if (pair !== undefined) found.set(one.replica, pair)
    }
    return found
  }

  #pair(id: string, { arms, selected }: Difference): ArmPair | undefined {
    const { off, on } = arms
    const pair = (pick: (arm: ArmCounters) => Float64Array): ArmPair => ({
      control: { bad: pick(off), total: off.operations },
      treatment: { bad: pick(on), total: on.operations },
    })
    if (id === 'mismatched') {
      return {
        control: { bad: off.mismatched, total: off.compared },
        treatment: { bad: on.mismatched, total: on.compared },
      }
    }
    if (id === 'failed') return pair((arm) => arm.failed)
    if (id === 'repeat-misses') return pair((arm) => arm.repeatMisses)
    if (id === 'degraded') {
      return pair(({ fellBack, late }) => {
        const slow = late.get(this.#plan.lateS)
        return slow === undefined ? fellBack : fellBack.map((count, b) => count + slow[b]!)
      })
    }
    const custom = this.#plan.custom.find((metric) => metric.id === id)
    if (custom === undefined) return undefined
    const bad = selected.get(custom.bad.text)
    const total = selected.get(custom.total.text)
    const one = (side: 'off' | 'on'): ArmPair['control'] => ({
      bad: Float64Array.of(Math.min(bad?.[side] ?? 0, total?.[side] ?? 0)),
      total: Float64Array.of(total?.[side] ?? 0),
    })
    return { control: one('off'), treatment: one('on') }
  }

  #count(replica: string, latest: Stratum): void {
    const counts = this.replicas.get(replica) ?? {
      badTreatment: 0,
      treatment: 0,
      badControl: 0,
      control: 0,
    }
    counts.badTreatment += latest.badTreatment
    counts.treatment += latest.treatment
    counts.badControl += latest.badControl
    counts.control += latest.control
    this.replicas.set(replica, counts)
  }
}

function countsOf({ arms: { off, on } }: Difference): Stratum {
  return {
    badTreatment: sum(on.failed) + sum(on.fellBack),
    treatment: sum(on.operations),
    badControl: sum(off.failed) + sum(off.fellBack),
    control: sum(off.operations),
  }
}

/** What a disagreement counts, and of how many. */
function operationsOf(of: Disagreement['of'], counts: Stratum): readonly [number, number] {
  const { badTreatment, treatment, badControl, control } = counts
  if (of === 'share') return [treatment, treatment + control]
  return of === 'on' ? [badTreatment, treatment] : [badControl, control]
}
