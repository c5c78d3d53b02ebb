import { setTimeout as sleep } from 'node:timers/promises'
import { SwitchbackError } from '../errors.ts'
import type { Actuator, Effect, Split } from './actuator.ts'
import { Alarms } from './alarms.ts'
import type { AuditAction, AuditEntry } from './audit.ts'
import { Eyes } from './eyes.ts'
import { Journal, explain } from './journal.ts'
import type { Lease } from './lease.ts'
import type { Plan } from './plan/plan.ts'
import type { MetricsSource } from './samples/source.ts'
import { statusOf } from './status.ts'
import type { GuardStatus } from './status.ts'
import type { GuardState, Phase, StateStore } from './store.ts'

export interface GuardOptions {
  readonly flag: string
  readonly plan: Plan
  readonly source: MetricsSource
  readonly actuator: Actuator
  readonly store: StateStore
  readonly lease: Lease
  /** Gets every decision. A rejection stops nothing. */
  readonly audit: (entry: AuditEntry) => void | Promise<void>
  /** Says what it would do and does nothing. @default false */
  readonly dryRun?: boolean
  /** Goes on after a rollback or after it yielded, from the share that is served. @default false */
  readonly resume?: boolean
  /** Epoch milliseconds. @default Date.now */
  readonly now?: () => number
}

const SERVED_EVERY_MS = 10_000
const SAVE_EVERY_MS = 15_000

/**
 * Watches both arms and moves the split along the plan, or back. One {@link Guard.tick} is one poll;
 * everything it knows of time, files and networks is handed in.
 */
export class Guard {
  readonly #options: GuardOptions
  readonly #plan: Plan
  readonly #dryRun: boolean
  readonly #now: () => number
  readonly #journal: Journal
  readonly #alarms: Alarms
  #eyes: Eyes
  #phase: Phase = 'baseline'
  #percent = 0
  #intent: number | undefined
  #awaiting: number | undefined
  #approved: number | undefined
  #reason = ''
  #standbyFor = ''
  #started = false
  #plain = false
  #askedAt = -Infinity
  #unserved = 0
  #savedAt = -Infinity

  constructor(options: GuardOptions) {
    const { dryRun = false, now = Date.now, flag, audit, plan } = options
    this.#options = options
    this.#plan = plan
    this.#dryRun = dryRun
    this.#now = now
    this.#eyes = new Eyes(plan)
    this.#journal = new Journal({ flag, dryRun, now, audit })
    this.#alarms = new Alarms(({ code, message }, on) =>
      this.#write(on ? 'alarm' : 'clear', this.#percent, `${code}: ${message}`),
    )
  }

  get status(): GuardStatus {
    return statusOf(this.#eyes, {
      at: this.#now(),
      flag: this.#options.flag,
      dryRun: this.#dryRun,
      standbyFor: this.#standbyFor,
      phase: this.#phase,
      percent: this.#percent,
      next: this.#next,
      awaiting: this.#awaiting,
      reason: this.#reason,
      alarms: this.#alarms.list,
      plan: { steps: this.#plan.steps, minHoldS: this.#plan.judge.minHoldS ?? 60 },
    })
  }

  /**
   * Polls until the signal is aborted, then gives the lease back. Rejects only when it cannot even
   * begin; later on, whatever goes wrong is an alarm, and the next poll tries again.
   */
  async run(
    signal: AbortSignal,
    onStatus: (status: GuardStatus) => void = () => {},
  ): Promise<void> {
    try {
      for (let first = true; !signal.aborted; first = false) {
        const begun = this.#now()
        try {
          onStatus(await this.tick(signal))
        } catch (error) {
          if (first) throw error
          await this.#alarms.set('state', explain(error), begun)
        }
        const rest = this.#plan.intervalMs - (this.#now() - begun)
        await sleep(Math.max(0, rest), undefined, { signal }).catch(() => {})
      }
    } finally {
      await this.close()
    }
  }

  /** Lets the step be taken that waits for approval; a share other than that one is ignored. */
  approve(percent: number): void {
    this.#approved = percent
  }

  /**
   * One poll.
   * @throws SwitchbackError `SB_GUARD_SHAPE` when the flag's rule is no split, `SB_GUARD_STATE_BROKEN`
   */
  async tick(signal?: AbortSignal): Promise<GuardStatus> {
    const now = this.#now()
    this.#standbyFor = this.#dryRun ? '' : await this.#options.lease.hold()
    if (this.#standbyFor !== '') {
      // What this guard knows will be old when the other one is gone.
      this.#started = false
      return this.status
    }
    if (!this.#started) await this.#start()
    await this.#lookAtFile(now)
    const poll = await this.#options.source.poll(signal)
    if (signal?.aborted === true) return this.status
    const at = this.#eyes.see(poll, now)
    await this.#eyes.raise(this.#alarms, now, this.#percent, this.#plain)
    await this.#decide(at)
    if (now - this.#savedAt >= SAVE_EVERY_MS) await this.#save()
    return this.status
  }

  async close(): Promise<void> {
    if (this.#started && !this.#dryRun) {
      await this.#save()
      await this.#write('stop', this.#percent, 'the guard was stopped; nobody watches now')
    }
    this.#started = false
    if (!this.#dryRun) await this.#options.lease.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #next(): number | undefined {
    return this.#plan.steps.find((step) => step > this.#percent + 1e-9)
  }

  /** It acts no more: it rolled back, or a person took over. */
  get #stopped(): boolean {
    return this.#phase === 'yielded' || this.#phase === 'rolled back'
  }

  async #start(): Promise<void> {
    const { actuator, store, flag } = this.#options
    const split = await actuator.read()
    if (split.percent === undefined) {
      throw new SwitchbackError('SB_GUARD_SHAPE', `The rule of ${flag}: ${split.detail}`, {
        hint: 'The guard moves splits only; see switchback validate.',
      })
    }
    const saved = this.#dryRun ? undefined : await store.load()
    const known = saved?.flag === flag ? saved : undefined
    this.#eyes = new Eyes(this.#plan, known)
    this.#percent = split.percent
    this.#phase = 'baseline'
    if (known !== undefined) this.#restore(known, split.percent)
    this.#started = true
    const how = known === undefined ? 'begins with a baseline' : `goes on: ${this.#phase}`
    await this.#write('start', this.#percent, `the guard ${how}`)
    await this.#save()
  }

  #restore(
    { phase, percent: expected, intent, reason, awaiting }: GuardState,
    percent: number,
  ): void {
    const stopped = phase === 'rolled back' || phase === 'yielded'
    if (stopped && this.#options.resume === true) return
    this.#phase = phase
    this.#reason = reason
    this.#awaiting = awaiting
    if (intent !== undefined && intent === percent && intent !== expected) {
      // Killed between the edit and its note: the edit is this guard's own.
      this.#phase = percent === 0 ? 'rolled back' : 'baseline'
      return
    }
    this.#percent = expected
  }

  /** Reads the split, yields to whoever else changed it, and asks flagd now and then what it serves. */
  async #lookAtFile(now: number): Promise<void> {
    const { actuator } = this.#options
    try {
      const split = await actuator.read()
      this.#plain = split.plain
      await this.#alarms.set('file', '', now)
      if (split.percent !== this.#percent) await this.#yield(split)
    } catch (error) {
      await this.#alarms.set('file', explain(error), now)
      return
    }
    if (now - this.#askedAt < SERVED_EVERY_MS) return
    this.#askedAt = now
    const { same, detail } = await actuator
      .served()
      .catch((error: unknown) => ({ same: undefined, detail: explain(error) }))
    // Twice in a row: a change made just now takes flagd a second.
    if (same !== false && this.#unserved >= 2) this.#eyes.shareChanged()
    this.#unserved = same === false ? this.#unserved + 1 : 0
    await this.#alarms.set('not-served', this.#unserved >= 2 ? detail : '', now)
  }

  async #yield({ percent, detail }: Split): Promise<void> {
    const before = this.#percent
    if (percent === undefined && this.#stopped) return
    const what =
      percent === undefined
        ? `somebody changed the rule (${detail})`
        : `somebody set ${percent} % where the guard expected ${before} %`
    this.#percent = percent ?? before
    this.#phase = 'yielded'
    this.#reason = `${what}; the guard yields and only watches until it is resumed`
    this.#awaiting = undefined
    this.#eyes.shareChanged()
    await this.#write('yield', this.#percent, this.#reason, before)
    await this.#save()
  }

  async #decide(at: number): Promise<void> {
    const harm = this.#eyes.harm()
    if (this.#stopped) {
      const told = this.#phase === 'yielded' && this.#percent > 0 ? harm : ''
      return this.#alarms.set('regressed', told, this.#now())
    }
    if (harm !== '' && this.#percent > 0) return this.#rollBack(harm)
    const [alarm] = this.#alarms.holding
    if (alarm !== undefined) return this.#say('hold', this.#percent, alarm.message)
    if (this.#eyes.sight.sight !== 'seeing') return
    if (this.#phase === 'baseline') return this.#leaveBaseline(at)
    if (this.#phase === 'finished') return
    const { answer = 'undecided', reason = '' } = this.#eyes.verdict ?? {}
    if (answer === 'starved') return this.#say('hold', this.#percent, reason)
    if (answer !== 'safe') return
    const { on } = this.#eyes.users(this.#percent)
    if (on < this.#plan.minUsers) {
      const seen = `${Math.round(on)} of ${this.#plan.minUsers} users seen on the new side`
      return this.#say('hold', this.#percent, seen)
    }
    await this.#advance(at, reason)
  }

  async #leaveBaseline(at: number): Promise<void> {
    // At 100 % no baseline will ever come.
    if (!this.#eyes.ready && this.#percent < 100) return
    if (this.#percent > 0) return this.#beginStep(at)
    const slow = `slow is above ${(this.#eyes.slowBoundS ?? 0) * 1000} ms`
    await this.#advance(at, `the baseline of the old side is known; ${slow}`)
  }

  async #beginStep(at: number): Promise<void> {
    const next = this.#next
    const share = this.#percent / 100
    this.#eyes.beginStep({ at, share, next: next === undefined ? undefined : next / 100 })
    this.#phase = next === undefined ? 'finished' : 'step'
    if (next === undefined) {
      const rest = this.#percent === 100 ? 'only absolute limits can be watched' : 'harm is watched'
      await this.#write('finish', this.#percent, `the last step is reached; ${rest}`)
    }
    await this.#save()
  }

  async #advance(at: number, reason: string): Promise<void> {
    const to = this.#next
    if (to === undefined) return this.#beginStep(at)
    if (this.#plan.advance === 'ask' && !(await this.#isApproved(to))) {
      this.#awaiting = to
      return this.#say('ask', to, `${reason}; approve ${to} % to go on`)
    }
    if (this.#dryRun) return this.#say('advance', to, reason)
    const from = this.#percent
    const effect = await this.#act(to, () =>
      this.#options.actuator.setShare(to, from, reason),
    ).catch((error: unknown) => this.#say('hold', from, explain(error)))
    if (effect === undefined) return
    await this.#write('advance', to, reason, from, effect)
    await this.#beginStep(this.#now() / 1000)
    await this.#expectServed(effect)
  }

  async #isApproved(percent: number): Promise<boolean> {
    this.#approved = (await this.#options.store.takeApproval()) ?? this.#approved
    return this.#approved === percent
  }

  async #rollBack(reason: string): Promise<void> {
    if (this.#dryRun) return this.#say('rollback', 0, reason)
    const from = this.#percent
    const failed = (error: unknown): Promise<void> =>
      this.#alarms.set('rollback-failed', explain(error), this.#now())
    const effect = await this.#act(0, () => this.#options.actuator.rollBack(reason)).catch(failed)
    if (effect === undefined) return
    this.#phase = 'rolled back'
    this.#reason = reason
    await this.#alarms.set('rollback-failed', '', this.#now())
    await this.#write('rollback', 0, reason, from, effect)
    await this.#save()
    await this.#expectServed(effect)
  }

  /**
   * Notes what is about to be written, so that after a crash our own edit is not taken for a person's.
   * Once begun, a change is not interrupted: it ends by its own deadline.
   */
  async #act(to: number, change: () => Promise<Effect>): Promise<Effect> {
    this.#intent = to
    await this.#save()
    try {
      const effect = await change()
      this.#percent = to
      this.#awaiting = undefined
      this.#approved = undefined
      return effect
    } finally {
      this.#intent = undefined
    }
  }

  /** Not confirmed is an alarm at once; the next look in ten seconds may clear it. */
  async #expectServed(effect: Effect): Promise<void> {
    this.#askedAt = this.#now()
    this.#unserved = effect.confirmed === false ? 2 : 0
    const detail = effect.confirmed === false ? effect.detail || 'the change is not served' : ''
    await this.#alarms.set('not-served', detail, this.#now())
  }

  async #save(): Promise<void> {
    if (this.#dryRun) return
    this.#savedAt = this.#now()
    try {
      await this.#options.store.save({
        version: 1,
        flag: this.#options.flag,
        phase: this.#phase,
        percent: this.#percent,
        intent: this.#intent,
        awaiting: this.#awaiting,
        reason: this.#reason,
        savedAt: this.#savedAt,
        ...this.#eyes.state(),
      })
      await this.#alarms.set('state', '', this.#savedAt)
    } catch (error) {
      // A full disk must not keep the guard from rolling back.
      await this.#alarms.set('state', explain(error), this.#savedAt)
    }
  }

  #say(action: AuditAction, to: number, reason: string): Promise<void> {
    return this.#journal.say({
      action,
      from: this.#percent,
      to,
      reason,
      verdict: this.#eyes.verdict,
    })
  }

  #write(
    action: AuditAction,
    to: number,
    reason: string,
    from: number = this.#percent,
    effect?: Effect,
  ): Promise<void> {
    const news = { action, from, to, reason, verdict: this.#eyes.verdict }
    return this.#journal.write(effect === undefined ? news : { ...news, effect })
  }
}
