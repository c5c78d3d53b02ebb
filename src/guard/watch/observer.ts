import type { Plan } from '../plan/plan.ts'
import { sum } from '../rule/index.ts'
import type { ArmPair, Stratum } from '../rule/index.ts'
import { difference } from '../samples/difference.ts'
import type { Difference } from '../samples/difference.ts'
import type { ArmReading, Reading } from '../samples/reading.ts'

/** What all replicas did between two polls, as the judge wants it. */
export interface Observation {
  readonly elapsedS: number
  readonly differences: readonly Difference[]
  /** By metric id and replica. */
  readonly strata: ReadonlyMap<string, ReadonlyMap<string, ArmPair>>
}

/** What a replica did is forgotten with this time constant, in seconds: an alarm must not outlive its cause. */
const FORGET_S = 120

type Counts = { -readonly [K in keyof Stratum]: number }

/** Turns readings into strata. */
export class Observer {
  /** By replica, since {@link beginStep}. */
  readonly replicas: Map<string, Counts> = new Map()
  readonly #plan: Plan
  readonly #before = new Map<string, Reading>()

  constructor(plan: Plan) {
    this.#plan = plan
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
    const elapsedS = Math.max(0, ...differences.map((one) => one.elapsedS))
    this.#forget(Math.exp(-elapsedS / FORGET_S))
    for (const one of differences) this.#count(one)
    const strata = new Map(
      this.#plan.metrics.map(({ id }) => [id, this.#byReplica(id, differences)]),
    )
    return { elapsedS, differences, strata }
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
    const pair = (pick: (arm: ArmReading) => Float64Array): ArmPair => ({
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

  #count({ replica, arms }: Difference): void {
    const counts = this.replicas.get(replica) ?? {
      badTreatment: 0,
      treatment: 0,
      badControl: 0,
      control: 0,
    }
    counts.badTreatment += sum(arms.on.failed) + sum(arms.on.fellBack)
    counts.treatment += sum(arms.on.operations)
    counts.badControl += sum(arms.off.failed) + sum(arms.off.fellBack)
    counts.control += sum(arms.off.operations)
    this.replicas.set(replica, counts)
  }
}
