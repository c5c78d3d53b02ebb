import { Baseline } from './baseline.ts'
import type { BaselineState } from './baseline.ts'
import { stratumOf } from '../count/buckets.ts'
import type { ArmPair } from '../count/buckets.ts'
import { expectedRate, evidenceRate, secondsUntil } from './estimate.ts'
import { EProcess } from './e-process.ts'
import type { EvidenceReading, EvidenceState } from './e-process.ts'
import { IncidentWatch } from '../count/incidents.ts'
import type { Incident } from '../count/incidents.ts'
import { edgeOf } from '../count/increment.ts'
import type { Margin, Stratum } from '../count/increment.ts'
import { RecentOperations } from '../count/recent.ts'
import type { Recent } from '../count/recent.ts'
import { basisOf, RATIO, slotOf } from '../settings.ts'
import type { MetricRule } from '../settings.ts'
import { Strata } from '../count/strata.ts'
import { Tally } from '../count/tally.ts'
import type { TallyState } from '../count/tally.ts'

/** Control operations without which a bet is a guess. */
const MIN_BASELINE = 100
/** A baseline is not taken up again after so many seconds. */
const BASELINE_LASTS_S = 600

export interface MetricState {
  /** What the evidence was gathered against. */
  readonly basis: string
  readonly baseline: BaselineState
  readonly harm: EvidenceState
  readonly harmTally: TallyState
  readonly safety: readonly (readonly [share: number, EvidenceState])[]
  readonly safetyTally: TallyState
  readonly recent: readonly Recent[]
  /** Treatment operations of the step. */
  readonly inStep: number
}

/** All that is known of one metric. */
export class MetricEvidence {
  readonly rule: MetricRule
  baseline: Baseline = new Baseline()
  readonly recent: RecentOperations = new RecentOperations()
  harm!: EProcess
  /** Of harm, and of safety: settling does not count for the latter. */
  tallies!: { readonly harm: Tally; readonly safety: Tally }
  /** Treatment operations of the step. */
  inStep = 0
  readonly #shares: readonly number[]
  readonly #strata = new Strata()
  readonly #incidents = new IncidentWatch()
  /** By the next share that it is about. It goes on over the steps. */
  #safety!: Map<number, EProcess>
  #share = 0
  #settled = false

  /** @param shares of the plan, 0 to 1 */
  constructor(rule: MetricRule, shares: readonly number[]) {
    this.rule = rule
    this.#shares = shares
    this.beginEpoch()
  }

  /** Evidence begins at nothing; the baseline stays. */
  beginEpoch(state?: MetricState): void {
    const { rule } = this
    const options = {
      buckets: rule.buckets,
      fixedEffect: rule.designEffect ?? 1,
      slotS: slotOf(rule),
    }
    this.tallies = {
      harm: new Tally(options, state?.harmTally),
      safety: new Tally(options, state?.safetyTally),
    }
    const margin = { ratio: RATIO, add: rule.harm }
    this.harm = new EProcess('harm', margin, this.tallies.harm, state?.harm)
    const saved = new Map(state?.safety)
    this.#safety = new Map(
      this.#shares.map((share) => [share, this.#evidenceFor(share, saved.get(share))]),
    )
    this.inStep = state?.inStep ?? 0
    this.recent.restart(state?.recent)
    this.#strata.restart()
    this.#incidents.restart()
  }

  /** A share begins to be served: strata and slots end, evidence goes on. */
  beginStep(share: number): void {
    this.#share = share
    this.inStep = 0
    this.#settled = false
    this.#endStrata()
    this.#strata.restart()
    this.recent.restart()
    this.tallies.harm.closeSlot()
    this.tallies.safety.closeSlot()
  }

  /**
   * One poll, by replica.
   * @param settled the step is old enough for its operations to say something of safety
   */
  observe(
    at: number,
    elapsedS: number,
    pairs: ReadonlyMap<string, ArmPair>,
    settled: boolean,
  ): Incident | undefined {
    const { rate } = this.baseline
    const all = totalOf(pairs)
    const begun = this.harm.watches > 0 || all.treatment > 0
    if (begun && this.baseline.seen >= MIN_BASELINE) {
      const due = this.harm.isWatchDue(at)
      if (due || settled !== this.#settled) this.#endStrata()
      if (due) this.harm.openWatch(at, rate)
      this.#settled = settled
      for (const [replica, pair] of pairs) this.#add(at, elapsedS, replica, pair)
      this.tallies.harm.add(at, elapsedS, pairs.values())
      if (settled) {
        this.tallies.safety.add(at, elapsedS, pairs.values())
        this.inStep += all.treatment
      }
    }
    if (pairs.size > 0) this.recent.add({ at, elapsedS, ...all })
    let first = true
    for (const { control } of pairs.values()) {
      this.baseline.add(control, first ? elapsedS : 0)
      first = false
    }
    const edge = edgeOf(this.harm.margin, rate)
    const over = this.#incidents.add(at, elapsedS, all, edge)
    return over && { ...over, ...this.#harmSoFar() }
  }

  /** Evidence that the next share is safe. */
  safetyFor(next: number): EProcess {
    let evidence = this.#safety.get(next)
    // A share that no plan named before, e.g. of a first step chosen by hand.
    if (evidence === undefined) this.#safety.set(next, (evidence = this.#evidenceFor(next)))
    return evidence
  }

  /** Seconds until a reading's evidence is enough, at the pace of the last minute; undefined: never. */
  secondsUntil(
    evidence: EProcess,
    { watch, effect }: EvidenceReading,
    need: number,
  ): number | undefined {
    const { baseline, rule } = this
    const { treatment, control, seconds } = this.recent.sum
    if (seconds <= 0 || treatment === 0) return undefined
    const { rate } = baseline
    const seen = stratumOf(this.tallies.safety.pair)
    const pace = {
      treatment: treatment / seconds,
      control: control / seconds,
      treatmentRate: expectedRate(seen.badTreatment, seen.treatment, rate, rule.harm),
      controlRate: rate,
    }
    const growth = evidenceRate(evidence.margin, evidence.bets(rate), pace)
    const missing = need - Math.log(watch?.mass ?? 1)
    return secondsUntil(evidence.logs, watch?.logs, growth, effect.whole, missing)
  }

  /** How long a step would take, nothing being known of treatment; undefined: for ever; 0: not known yet. */
  foresee(share: number, next: number, need: number, operations: number): number | undefined {
    const { control, treatment, seconds } = this.recent.sum
    if (seconds <= 0) return 0
    const all = (control + treatment) / seconds
    if (all === 0) return undefined
    const { rate } = this.baseline
    const evidence = this.#evidenceFor(next)
    const expected = Math.max(rate, this.rule.harm / 10)
    const pace = {
      treatment: share * all,
      control: (1 - share) * all,
      treatmentRate: expected,
      controlRate: rate,
    }
    const growth = evidenceRate(evidence.margin, evidence.bets(rate), pace)
    const proven = secondsUntil(evidence.logs, undefined, growth, this.rule.designEffect ?? 1, need)
    return proven === undefined ? undefined : Math.max(proven, operations / (share * all))
  }

  /** As JSON can hold it. An open stratum counts as ended. */
  state(): MetricState {
    return {
      basis: basisOf(this.rule),
      baseline: this.baseline.state(),
      harm: this.harm.state(),
      harmTally: this.tallies.harm.state(),
      safety: Array.from(this.#safety, ([share, evidence]) => [share, evidence.state()] as const),
      safetyTally: this.tallies.safety.state(),
      recent: this.recent.state(),
      inStep: this.inStep,
    }
  }

  /**
   * Goes on where another process stopped.
   * @param gapS seconds since the state was saved
   * @returns false: the evidence was about something else, and it begins at nothing
   */
  restore(state: MetricState, share: number, gapS: number): boolean {
    this.#share = share
    const same = state.basis === basisOf(this.rule)
    this.beginEpoch(same ? state : undefined)
    if (same && gapS < BASELINE_LASTS_S) this.baseline = new Baseline(state.baseline, gapS)
    return same
  }

  #add(at: number, elapsedS: number, replica: string, pair: ArmPair): void {
    const stratum = this.#strata.add(at, elapsedS, replica, pair, this.baseline.rate)
    const { counts, rate, over } = stratum
    const evidences = [this.harm]
    if (this.#settled) {
      for (const [share, evidence] of this.#safety)
        if (share > this.#share) evidences.push(evidence)
    }
    for (const evidence of evidences) {
      evidence.add(replica, counts, rate)
      if (over) evidence.endStratum(replica)
    }
  }

  #endStrata(): void {
    this.#strata.end()
    this.harm.endStrata()
    for (const evidence of this.#safety.values()) evidence.endStrata()
  }

  #evidenceFor(share: number, state?: EvidenceState): EProcess {
    const margin: Margin = { ratio: RATIO, add: this.rule.harm / share }
    return new EProcess('safety', margin, this.tallies.safety, state)
  }

  #harmSoFar(): Omit<Incident, 'bad' | 'lastedS'> {
    const { badTreatment, treatment, badControl, control } = stratumOf(this.tallies.harm.pair)
    const usual = control === 0 ? 0 : (RATIO * badControl) / control
    const harm = treatment === 0 ? 0 : Math.max(0, badTreatment / treatment - usual)
    return { metric: this.rule.id, patienceS: this.rule.patienceS, harm, allowed: this.rule.harm }
  }
}

function totalOf(pairs: ReadonlyMap<string, ArmPair>): Stratum {
  const all = { badTreatment: 0, treatment: 0, badControl: 0, control: 0 }
  for (const pair of pairs.values()) {
    const one = stratumOf(pair)
    all.badTreatment += one.badTreatment
    all.treatment += one.treatment
    all.badControl += one.badControl
    all.control += one.control
  }
  return all
}
