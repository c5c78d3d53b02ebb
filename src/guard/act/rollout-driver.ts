import type { WriteEffect, SplitReading } from './actuator.ts'
import type { Alarm } from '../status/alarms.ts'
import type { Eyes } from '../watch/eyes.ts'
import type { FlagLook } from '../watch/flag-look.ts'
import type { GuardOptions } from '../options.ts'
import type { RolloutPosition } from './position.ts'
import { problemAndRemedy } from './records.ts'
import { lasting } from '../rule/index.ts'
import type { Records } from './records.ts'

/** A first step that takes longer than this is told of before it begins, in seconds. */
const TOO_LONG_S = 6 * 3600

export interface DriverOptions extends Pick<GuardOptions, 'plan' | 'actuator' | 'store'> {
  readonly dryRun: boolean
  readonly now: () => number
  readonly position: RolloutPosition
  readonly eyes: Eyes
  readonly records: Records
  readonly flag: FlagLook
}

/** Decides after each poll, and moves the split: along the plan, or back. */
export class RolloutDriver {
  readonly #options: DriverOptions
  #approved: number | undefined
  /** Ordered for the next decision. */
  #promoted: { readonly to: number; readonly who: string } | undefined

  constructor(options: DriverOptions) {
    this.#options = options
  }

  /** Approves the step that waits for it; any other share is ignored. */
  approve(percent: number): void {
    this.#approved = percent
  }

  /** The next step now, whatever is proven; not while it would be rolled back at once. */
  promote(to: number, who: string): void {
    this.#promoted = { to, who }
  }

  /** No step until the pause is ended; it rolls back all the same. */
  async pause(on: boolean, who: string): Promise<void> {
    const { position, records, now } = this.#options
    if (on === (position.paused !== undefined) || (on && position.stopped)) return
    position.paused = on ? { who, since: now() } : undefined
    const what = on
      ? `paused by ${who}; it rolls back all the same, and takes steps after switchback guard --unpause`
      : `the pause was ended by ${who}`
    await records.write('pause', position.percent, what)
    await records.save()
  }

  /** Somebody else changed the split. */
  async yieldTo({ percent, detail }: SplitReading): Promise<void> {
    const { position, eyes, records } = this.#options
    const from = position.percent
    if (percent === undefined && position.stopped) return
    const what =
      percent === undefined
        ? `somebody changed the rule (${detail})`
        : `somebody set ${percent} % where the guard expected ${from} %`
    const reason = `${what}; the guard stops acting and only watches, until switchback guard --resume`
    position.yieldTo(percent ?? from, reason, this.#options.now())
    eyes.shareChanged()
    await records.write('yield', position.percent, reason, { from })
    await records.save()
  }

  /** @param at the rule's time, in seconds */
  async decide(at: number): Promise<void> {
    const { plan, position, eyes, records, flag } = this.#options
    const { percent } = position
    const harm = eyes.harm()
    const promoted = this.#promoted
    this.#promoted = undefined
    if (position.stopped) {
      const told = position.phase === 'yielded' && percent > 0 ? harm : ''
      return records.alarms.set('regressed', told, this.#options.now())
    }
    if (harm !== '' && percent > 0) return this.#rollBack(harm)
    const [alarm] = records.alarms.holding
    if (promoted !== undefined) return this.#obey(at, promoted, alarm)
    if (alarm !== undefined) return records.say('hold', percent, alarm.message)
    if (flag.waiting !== '') return records.say('hold', percent, flag.waiting)
    if (eyes.sight.sight !== 'seeing') return
    if (position.phase === 'baseline') return this.#leaveBaseline(at)
    if (position.phase === 'finished') return
    const { answer = 'undecided', reason = '' } = eyes.verdict ?? {}
    if (answer === 'starved') return records.say('hold', percent, reason)
    if (answer !== 'safe') return
    const { on } = eyes.users(percent)
    if (on < plan.minUsers) {
      const seen = `${Math.round(on)} of ${plan.minUsers} users seen on the new side`
      return records.say('hold', percent, seen)
    }
    await this.#advance(at, reason)
  }

  async #obey(
    at: number,
    { to, who }: { readonly to: number; readonly who: string },
    alarm: Alarm | undefined,
  ): Promise<void> {
    const { position, eyes, records } = this.#options
    const { percent, next } = position
    if (alarm !== undefined) {
      return records.write('hold', percent, `not promoted to ${to} %: ${alarm.message}`)
    }
    if (next !== to) {
      const instead = next === undefined ? 'it was the last step' : `${next} % is next`
      return records.write('hold', percent, `not promoted to ${to} %: ${instead}`)
    }
    const known = eyes.verdict?.reason ?? 'nothing is proven'
    await this.#advance(at, `promoted by ${who}, without waiting for proof (${known})`, true)
  }

  async #leaveBaseline(at: number): Promise<void> {
    const { plan, position, eyes } = this.#options
    // At 100 % there can be no baseline.
    if (!eyes.ready && position.percent < 100) return
    if (position.percent > 0) return this.#beginStep(at)
    const late = `late is above ${plan.lateS * 1000} ms`
    await this.#advance(at, `the baseline of the old side is known; ${late}${this.#foreseen()}`)
  }

  /** What cannot be decided is told before it begins. */
  #foreseen(): string {
    const { plan, position, eyes } = this.#options
    const first = plan.steps.indexOf(position.next ?? 100)
    const takes = (i: number): number => {
      const [share = 1, next] = plan.steps.slice(i)
      return next === undefined ? 0 : (eyes.foresee(share / 100, next / 100) ?? Infinity)
    }
    const seconds = takes(first)
    if (seconds <= TOO_LONG_S) return ''
    const how = Number.isFinite(seconds) ? `takes about ${lasting(seconds)}` : 'cannot be decided'
    // The last step decides on nothing, so nobody is advised to begin with it.
    const better = plan.steps.slice(0, -1).findIndex((_, i) => i > first && takes(i) <= TOO_LONG_S)
    const advice =
      better < 0 ? '' : `; a first step of ${plan.steps[better]} % takes ${lasting(takes(better))}`
    return `; at this traffic a step of ${plan.steps[first]} % ${how}${advice}`
  }

  async #beginStep(at: number): Promise<void> {
    const { position, eyes, records } = this.#options
    const { percent, next } = position
    eyes.beginStep({ at, share: percent / 100, next: next === undefined ? undefined : next / 100 })
    position.phase = next === undefined ? 'finished' : 'step'
    if (next === undefined) {
      const rest =
        percent === 100
          ? 'only absolute limits can be watched'
          : 'the guard keeps watching for harm'
      await records.write('finish', percent, `the last step is reached; ${rest}`)
    }
    await records.save()
  }

  /** @param ordered a person wants it now */
  async #advance(at: number, reason: string, ordered = false): Promise<void> {
    const { plan, position, actuator, records, flag, dryRun, now } = this.#options
    const to = position.next
    if (to === undefined) return this.#beginStep(at)
    const { paused } = position
    if (paused !== undefined && !ordered) {
      return records.say('hold', position.percent, `paused by ${paused.who}`)
    }
    if (plan.advance === 'ask' && !ordered && !(await this.#isApproved(to))) {
      return records.say(
        'ask',
        to,
        `${reason}; approve ${to} % with switchback guard --approve ${to}`,
      )
    }
    if (dryRun) return records.say('advance', to, reason)
    const from = position.percent
    const effect = await this.#act(to, () => actuator.setShare(to, from, reason)).catch(
      (error: unknown) => records.say('hold', from, problemAndRemedy(error)),
    )
    if (effect === undefined) return
    await records.write('advance', to, reason, { from, effect })
    await this.#beginStep(now() / 1000)
    await flag.expect(effect, now())
  }

  async #isApproved(percent: number): Promise<boolean> {
    const { position, records, store, dryRun } = this.#options
    // An acting guard's approvals are not for one that only reports.
    const left = dryRun ? undefined : await store.takeApproval()
    if (position.awaiting !== percent) {
      // An approval from before the question does not count.
      this.#approved = undefined
      position.awaiting = percent
      await records.save()
      return false
    }
    this.#approved = left ?? this.#approved
    return this.#approved === percent
  }

  async #rollBack(reason: string): Promise<void> {
    const { position, actuator, records, flag, dryRun, now } = this.#options
    if (dryRun) return records.say('rollback', 0, reason)
    const from = position.percent
    const effect = await this.#act(0, () => actuator.rollBack(reason)).catch((error: unknown) =>
      records.alarms.set('rollback-failed', problemAndRemedy(error), now()),
    )
    if (effect === undefined) return
    position.rolledBack(reason, now())
    await records.alarms.set('rollback-failed', '', now())
    await records.write('rollback', 0, reason, { from, effect })
    await records.save()
    await flag.expect(effect, now())
  }

  /**
   * Notes what is about to be written, so that after a crash our own edit is not mistaken for a
   * person's. Once begun, a change is not interrupted: it ends by its own deadline.
   */
  async #act(to: number, change: () => Promise<WriteEffect>): Promise<WriteEffect> {
    const { position, records } = this.#options
    position.intent = to
    await records.save()
    try {
      const effect = await change()
      position.moveTo(to)
      this.#approved = undefined
      return effect
    } finally {
      position.intent = undefined
    }
  }
}
