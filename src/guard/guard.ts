import { setTimeout as sleep } from 'node:timers/promises'
import { SwitchbackError } from '../errors.ts'
import { Driver } from './driver.ts'
import { Eyes } from './eyes.ts'
import { FlagLook } from './flag-look.ts'
import type { GuardOptions } from './options.ts'
import { Position } from './position.ts'
import { explain, Records } from './records.ts'
import { statusOf } from './status.ts'
import type { GuardStatus } from './status.ts'

/**
 * Watches both sides and moves the split along the plan, or back. One {@link Guard.tick} is one
 * poll; time, files and networks are passed in. In each poll the {@link FlagLook} reads the split,
 * the {@link Eyes} read the metrics, the {@link Driver} decides and acts, and the {@link Records}
 * report and save.
 */
export class Guard {
  readonly #options: GuardOptions
  readonly #dryRun: boolean
  readonly #now: () => number
  readonly #position: Position
  readonly #eyes: Eyes
  readonly #records: Records
  readonly #flag: FlagLook
  readonly #driver: Driver
  #standbyFor = ''
  #started = false

  constructor(options: GuardOptions) {
    const { plan, actuator, dryRun = false, now = Date.now } = options
    this.#options = options
    this.#dryRun = dryRun
    this.#now = now
    this.#position = new Position(plan.steps)
    this.#eyes = new Eyes(plan)
    const parts = { ...options, dryRun, now, position: this.#position, eyes: this.#eyes }
    this.#records = new Records(parts)
    this.#flag = new FlagLook({
      actuator,
      alarms: this.#records.alarms,
      onMended: () => this.#eyes.shareChanged(),
    })
    this.#driver = new Driver({ ...parts, records: this.#records, flag: this.#flag })
  }

  get status(): GuardStatus {
    const { flag, plan } = this.#options
    const { phase, percent, next, awaiting, reason } = this.#position
    return statusOf(this.#eyes, {
      at: this.#now(),
      flag,
      dryRun: this.#dryRun,
      standbyFor: this.#standbyFor,
      phase,
      percent,
      next,
      awaiting,
      reason,
      alarms: this.#records.alarms.list,
      plan: { steps: plan.steps, minHoldS: plan.judge.minHoldS ?? 60 },
    })
  }

  /**
   * Polls until the signal is aborted, then releases the lease. Rejects only when it cannot start;
   * later problems are alarms, and the next poll tries again.
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
          await this.#records.alarms.set('state', explain(error), begun)
        }
        const rest = this.#options.plan.intervalMs - (this.#now() - begun)
        await sleep(Math.max(0, rest), undefined, { signal }).catch(() => {})
      }
    } finally {
      await this.close()
    }
  }

  /** Approves the step that waits for it; any other share is ignored. */
  approve(percent: number): void {
    this.#driver.approve(percent)
  }

  /**
   * One poll.
   * @throws SwitchbackError `SB_GUARD_SHAPE` when the flag's rule is not a split,
   * `SB_GUARD_STATE_BROKEN`
   */
  async tick(signal?: AbortSignal): Promise<GuardStatus> {
    const now = this.#now()
    this.#standbyFor = this.#dryRun ? '' : await this.#options.lease.hold()
    if (this.#standbyFor !== '') {
      // This guard's knowledge will be outdated when the other one is gone.
      this.#started = false
      return this.status
    }
    if (!this.#started) await this.#start()
    const split = await this.#flag.split(now)
    if (split !== undefined) {
      if (split.percent !== this.#position.percent) await this.#driver.yieldTo(split)
      await this.#flag.served(now)
    }
    const poll = await this.#options.source.poll(signal)
    if (signal?.aborted === true) return this.status
    const at = this.#eyes.see(poll, now)
    await this.#eyes.raise(this.#records.alarms, now, this.#position.percent, this.#flag.plain)
    await this.#driver.decide(at)
    await this.#records.saveInTime(now)
    return this.status
  }

  async close(): Promise<void> {
    if (this.#started && !this.#dryRun) {
      await this.#records.save()
      const reason = 'the guard was stopped; the rollout is no longer watched'
      await this.#records.write('stop', this.#position.percent, reason)
    }
    this.#started = false
    if (!this.#dryRun) await this.#options.lease.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(): Promise<void> {
    const { actuator, store, flag, resume = false } = this.#options
    const split = await actuator.read()
    if (split.percent === undefined) {
      throw new SwitchbackError('SB_GUARD_SHAPE', `The rule of ${flag}: ${split.detail}`, {
        hint: 'The guard can move only a split; run switchback validate.',
      })
    }
    const saved = this.#dryRun ? undefined : await store.load()
    const known = saved?.flag === flag ? saved : undefined
    this.#eyes.begin(known)
    this.#position.begin(split.percent, known, resume)
    this.#started = true
    const how =
      known === undefined ? 'starts with a baseline' : `continues: ${this.#position.phase}`
    await this.#records.write('start', this.#position.percent, `the guard ${how}`)
    await this.#records.save()
  }
}
