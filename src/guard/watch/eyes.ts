import type { Alarms } from '../status/alarms.ts'
import { LimitWatch } from './limit-watch.ts'
import type { Breach } from './limit-watch.ts'
import { Observer } from './observer.ts'
import type { Plan } from '../plan/plan.ts'
import { disagreements, Judge, lasting, look, unseen } from '../rule/index.ts'
import type {
  BlindnessState,
  Disagreement,
  Incident,
  JudgeState,
  SightReport,
  Step,
  Verdict,
} from '../rule/index.ts'
import type { Failure, Poll } from '../samples/metrics-source.ts'
import { ShareAlarm } from './share-alarm.ts'
import { outText, sidesOut } from './sides-out.ts'
import type { SideOutOn } from './sides-out.ts'

export interface EyesState {
  /** Which attempt this is: each resume begins one, with evidence that begins at nothing. */
  readonly epoch: number
  /** Seconds that the old side has been watched for the baseline. */
  readonly baselineS: number
  /** Undefined: nothing is known, or only what an older version can use. */
  readonly judge: JudgeState | undefined
  readonly blindness: BlindnessState
}

/** The guard's observation: judges polls and raises alarms, and changes nothing. */
export class Eyes {
  verdict: Verdict | undefined
  sight!: SightReport
  failures: readonly Failure[] = []
  /** What the source lacks. */
  missing: readonly string[] = []
  disagreements: readonly Disagreement[] = []
  broken: readonly Breach[] = []
  /** Incidents that this poll has seen the end of. */
  incidents: readonly Incident[] = []
  /** Replicas that cannot reach the new side. */
  out: readonly SideOutOn[] = []
  epoch = 1
  readonly #plan: Plan
  readonly #named: () => readonly string[]
  readonly #share = new ShareAlarm()
  #observer!: Observer
  #judge!: Judge
  #limits!: LimitWatch
  #lastAt = 0
  #baselineS = 0

  /** @param named replicas that are expected to answer from the first poll on */
  constructor(plan: Plan, named: () => readonly string[] = () => []) {
    this.#plan = plan
    this.#named = named
    this.begin()
  }

  /**
   * Goes on with what was seen before; without it, from nothing.
   * @param gapS seconds that nobody has looked
   * @returns metrics whose evidence begins at nothing, since it was about something else
   */
  begin(before?: EyesState, gapS = 0): readonly string[] {
    const plan = this.#plan
    const settings = { ...plan.judge, metrics: plan.metrics }
    this.#limits = new LimitWatch(plan.limits)
    this.#observer = new Observer(plan)
    const restored = before?.judge && Judge.restore(settings, before.judge, gapS)
    this.#judge = restored?.judge ?? new Judge(settings)
    this.epoch = before?.epoch ?? 1
    this.#baselineS = before?.baselineS ?? 0
    this.#share.restart()
    this.verdict = undefined
    this.sight = { state: before?.blindness ?? unseen, sight: 'waiting', silent: [], blindS: 0 }
    this.failures = []
    this.missing = []
    this.disagreements = []
    this.broken = []
    this.incidents = []
    this.out = []
    this.#lastAt = 0
    return restored?.anew ?? []
  }

  /**
   * Evidence begins at nothing, also of harm. What is known of the old side stays.
   * @param metrics whose evidence that is already so @default none: of all metrics it is to be so
   */
  beginEpoch(metrics?: readonly string[]): void {
    this.epoch++
    if (metrics !== undefined) return
    this.#judge.beginEpoch()
    this.shareChanged()
  }

  /** The old side's rates are known. */
  get ready(): boolean {
    return this.#judge.unready.length === 0 && this.#baselineS >= this.#plan.baselineS
  }

  /** A step is being judged. */
  get judging(): boolean {
    return this.#judge.step !== undefined
  }

  /** @param now epoch milliseconds @returns seconds since the step began */
  heldS(now: number): number {
    return this.#judge.step === undefined ? 0 : Math.max(0, now / 1000 - this.#judge.step.at)
  }

  /** Distinct users seen, and the logarithm of the evidence that their ratio is wrong. */
  users(percent: number): ReturnType<ShareAlarm['users']> {
    return this.#share.users(percent)
  }

  /** How long a step would take by what the baseline tells, in seconds; undefined: for ever. */
  foresee(share: number, next: number): number | undefined {
    return this.#judge.foresee(share, next)
  }

  /** Who cannot reach the new side, before anything is begun. */
  look(poll: Poll): readonly SideOutOn[] {
    return sidesOut(poll.readings)
  }

  /** @param now epoch milliseconds @returns the rule's time, in seconds; it never goes back */
  see(poll: Poll, now: number): number {
    const at = Math.max(this.#lastAt, now / 1000)
    this.#lastAt = at
    this.failures = poll.failures
    this.missing = poll.missing ?? []
    const { elapsedS, differences, strata } = this.#observer.observe(poll.readings)
    this.#baselineS += elapsedS
    for (const reading of poll.readings) this.#share.add(reading)
    this.incidents = this.#judge.observe(at, elapsedS, strata)
    this.verdict = this.#timed(this.#judge.verdict(at))
    this.out = sidesOut(poll.readings)
    const heard = poll.readings.map(({ replica }) => replica)
    this.sight = look(this.sight.state, at, heard, this.#plan.blindness, this.#named())
    this.broken = this.#limits.add(at, differences)
    this.disagreements = this.#observer.lasting(disagreements(this.#observer.replicas))
    return at
  }

  /** The judge counts the operations of a baseline; how long it lasts is the plan's. */
  #timed(verdict: Verdict): Verdict {
    const left = this.#plan.baselineS - this.#baselineS
    if (this.judging || left <= 0 || this.#judge.unready.length > 0) return verdict
    if (verdict.answer !== 'undecided') return verdict
    const reason = `the baseline of the old side is being taken: it lasts ${lasting(left)} more`
    return { ...verdict, reason }
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
      epoch: this.epoch,
      baselineS: this.#baselineS,
      judge: this.#judge.state(),
      blindness: this.sight.state,
    }
  }

  /** @param plain the rule is a split and nothing else, so the share seen must be the share set */
  async raise(alarms: Alarms, now: number, percent: number, plain: boolean): Promise<void> {
    const { sight, silent, blindS, state } = this.sight
    const lost = sight === 'blind' || sight === 'lost'
    const failures = this.failures.map(({ replica, message }) => `${replica} ${message}`)
    const told = failures.length === 0 ? silent.join(', ') : failures.join('; ')
    const why = told === '' ? '' : ` (${told})`
    const alarmAfterS = this.#plan.blindness.alarmAfterS ?? 30
    const quiet = silent.filter((name) => now / 1000 - (state.heard[name] ?? 0) >= alarmAfterS)
    const limits = this.broken.map(
      ({ limit, value, forS }) =>
        `${limit.selector.text} is ${Number(value.toPrecision(3))}, above ${limit.above}, for ${Math.round(forS)} s`,
    )
    const odd = this.disagreements.map(({ replica, what }) => `${replica} ${what}`)
    await alarms.set(
      'metrics-lost',
      lost ? `${lostText(this.sight)} for ${Math.round(blindS)} s${why}` : '',
      now,
    )
    const calm = sight !== 'seeing' || quiet.length === 0
    const names = calm ? '' : `no metrics from: ${quiet.join(', ')}${why}`
    await alarms.set('series-missing', this.missing.join('; '), now)
    await alarms.set('replica-silent', names, now)
    await alarms.set('replica-disagrees', odd.join('; '), now)
    await alarms.set('side-out', outText(this.out, this.verdict), now)
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
    return ''
  }
}

/** `no metrics`, or of how many replicas there are some. */
function lostText({ state, silent }: SightReport): string {
  const known = Object.keys(state.heard).length
  const heard = known - silent.length
  return heard === 0 ? 'no metrics' : `metrics of ${heard} of ${known} replicas only`
}
