import type { Alarms } from './alarms.ts'
import { LimitWatch } from './limit-watch.ts'
import type { Breach } from './limit-watch.ts'
import { Observer } from './observer.ts'
import type { Plan } from './plan/plan.ts'
import { disagreements, Judge, look, unseen } from './rule/index.ts'
import type {
  BlindnessState,
  Disagreement,
  JudgeState,
  SightReport,
  Step,
  Verdict,
} from './rule/index.ts'
import type { Failure, Poll } from './samples/source.ts'
import { ShareAlarm } from './share-alarm.ts'

export interface EyesState {
  readonly slowBoundS: number | undefined
  readonly judge: JudgeState | undefined
  readonly blindness: BlindnessState
}

/** The guard's observation: judges polls and raises alarms, and changes nothing. */
export class Eyes {
  verdict: Verdict | undefined
  sight!: SightReport
  failures: readonly Failure[] = []
  disagreements: readonly Disagreement[] = []
  broken: readonly Breach[] = []
  readonly #plan: Plan
  readonly #share = new ShareAlarm()
  #observer!: Observer
  #judge!: Judge
  #limits!: LimitWatch
  #lastAt = 0

  constructor(plan: Plan) {
    this.#plan = plan
    this.begin()
  }

  /** Continues from a saved state; without one, from nothing. */
  begin(before?: EyesState): void {
    const plan = this.#plan
    const settings = { ...plan.judge, metrics: plan.metrics }
    this.#limits = new LimitWatch(plan.limits)
    this.#observer = new Observer(plan, before?.slowBoundS)
    this.#judge = before?.judge ? Judge.restore(settings, before.judge) : new Judge(settings)
    this.#share.restart()
    this.verdict = undefined
    this.sight = { state: before?.blindness ?? unseen, sight: 'waiting', silent: [], blindS: 0 }
    this.failures = []
    this.disagreements = []
    this.broken = []
    this.#lastAt = 0
  }

  get slowBoundS(): number | undefined {
    return this.#observer.slowBoundS
  }

  /** The old side's rates and latency are known. */
  get ready(): boolean {
    return this.#judge.unready.length === 0 && this.slowBoundS !== undefined
  }

  /** @param now epoch milliseconds @returns seconds since the step began */
  heldS(now: number): number {
    return this.#judge.step === undefined ? 0 : Math.max(0, now / 1000 - this.#judge.step.at)
  }

  /** Distinct users seen, and the logarithm of the evidence that their ratio is wrong. */
  users(percent: number): ReturnType<ShareAlarm['users']> {
    return this.#share.users(percent)
  }

  /** @param now epoch milliseconds @returns the rule's time, in seconds; it never goes back */
  see(poll: Poll, now: number): number {
    const at = Math.max(this.#lastAt, now / 1000)
    this.#lastAt = at
    this.failures = poll.failures
    const { elapsedS, differences, strata } = this.#observer.observe(poll.readings)
    for (const reading of poll.readings) this.#share.add(reading)
    this.#judge.observe(at, elapsedS, strata)
    this.verdict = this.#judge.verdict(at)
    const heard = poll.readings.map(({ replica }) => replica)
    this.sight = look(this.sight.state, at, heard, this.#plan.blindness)
    this.broken = this.#limits.add(at, differences)
    this.disagreements = disagreements(this.#observer.replicas)
    return at
  }

  beginStep(step: Step): void {
    this.#judge.beginStep(step)
    this.shareChanged()
  }

  /** Everything counted by share so far belongs to another share. */
  shareChanged(): void {
    this.#observer.beginStep()
    this.#share.restart()
  }

  state(): EyesState {
    return {
      slowBoundS: this.slowBoundS,
      judge: this.#judge.state(),
      blindness: this.sight.state,
    }
  }

  /** @param plain the rule is a split and nothing else, so the share seen must be the share set */
  async raise(alarms: Alarms, now: number, percent: number, plain: boolean): Promise<void> {
    const { sight, silent, blindS, state } = this.sight
    const lost = sight === 'blind' || sight === 'lost'
    const failures = this.failures.map(({ replica, message }) => `${replica} ${message}`)
    const why = failures.length === 0 ? '' : ` (${failures.join('; ')})`
    const alarmAfterS = this.#plan.blindness.alarmAfterS ?? 30
    const quiet = silent.filter((name) => now / 1000 - (state.heard[name] ?? 0) >= alarmAfterS)
    const limits = this.broken.map(
      ({ limit, value, forS }) =>
        `${limit.selector.text} is ${Number(value.toPrecision(3))}, above ${limit.above}, for ${Math.round(forS)} s`,
    )
    const odd = this.disagreements.map(({ replica, what }) => `${replica} ${what}`)
    await alarms.set(
      'metrics-lost',
      lost ? `no metrics for ${Math.round(blindS)} s${why}` : '',
      now,
    )
    const calm = sight !== 'seeing' || quiet.length === 0
    const names = calm ? '' : `no metrics from: ${quiet.join(', ')}${why}`
    await alarms.set('replica-silent', names, now)
    await alarms.set('replica-disagrees', odd.join('; '), now)
    await alarms.set('share-mismatch', this.#share.look(percent, plain), now)
    await alarms.set('limit', limits.join('; '), now)
  }

  /** Why to roll back now; '' when there is no reason. */
  harm(): string {
    if (this.verdict?.answer === 'regressed') return this.verdict.reason
    const breach = this.broken.find(({ limit }) => limit.action === 'rollback')
    if (breach !== undefined) return `${breach.limit.selector.text} is above ${breach.limit.above}`
    if (this.sight.sight === 'lost' && this.#plan.lost === 'rollback') {
      return `metrics have been lost for ${Math.round(this.sight.blindS)} s`
    }
    const starved = this.verdict?.answer === 'starved' && this.#plan.starved === 'rollback'
    return starved ? this.verdict!.reason : ''
  }
}
