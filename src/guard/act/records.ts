import { isSwitchbackError, messageOf } from '../../errors.ts'
import type { WriteEffect } from './actuator.ts'
import { type Alarm, Alarms } from '../status/alarms.ts'
import { auditNumbers } from '../status/audit.ts'
import type { AuditAction, AuditEntry } from '../status/audit.ts'
import type { Eyes } from '../watch/eyes.ts'
import type { GuardOptions } from '../options.ts'
import { planChanges, planLines } from '../plan/plan-changes.ts'
import type { PlanLines } from '../plan/plan-changes.ts'
import type { RolloutPosition } from './position.ts'

const SAVE_EVERY_MS = 15_000

export interface RecordsOptions extends Pick<
  GuardOptions,
  'flag' | 'plan' | 'store' | 'audit' | 'notifier'
> {
  readonly dryRun: boolean
  readonly now: () => number
  readonly position: RolloutPosition
  readonly eyes: Eyes
}

/** What was done, if it does not concern the share that the guard is at. */
export interface Deed {
  readonly from?: number
  readonly effect?: WriteEffect
  readonly alarm?: Alarm
}

/**
 * What the guard reports and saves: audit lines, alarms, and its state. No problem with them, such
 * as a full disk, may keep the guard from rolling back.
 */
export class Records {
  readonly alarms: Alarms
  readonly #options: RecordsOptions
  readonly #plan: PlanLines
  #said = ''
  #savedAt = -Infinity

  constructor(options: RecordsOptions) {
    this.#options = options
    this.#plan = planLines(options.plan)
    this.alarms = new Alarms((alarm, on) => {
      const { code, message } = alarm
      const told = { alarm }
      return this.write(
        on ? 'alarm' : 'clear',
        options.position.percent,
        `${code}: ${message}`,
        told,
      )
    })
  }

  /** One audit line. */
  async write(
    action: AuditAction,
    to: number,
    reason: string,
    { from = this.#options.position.percent, effect, alarm }: Deed = {},
  ): Promise<void> {
    if (action !== 'alarm' && action !== 'clear') this.#said = ''
    const { flag, dryRun, now, audit, eyes, notifier } = this.#options
    const numbers = auditNumbers(eyes.verdict)
    const detail = effect === undefined || effect.detail === '' ? '' : ` (${effect.detail})`
    const since = alarm === undefined ? undefined : new Date(alarm.since).toISOString()
    const entry: AuditEntry = {
      at: new Date(now()).toISOString(),
      flag,
      action,
      dryRun,
      from,
      to,
      reason: reason + detail,
      epoch: eyes.epoch,
      ...(alarm === undefined ? {} : { alarm: alarm.code }),
      ...(since === undefined ? {} : { since }),
      ...(effect?.lastMs === undefined ? {} : { servedMs: Math.round(effect.lastMs) }),
      ...(effect?.confirmed === undefined ? {} : { confirmed: effect.confirmed }),
      ...(numbers === undefined ? {} : { numbers }),
    }
    notifier?.tell(entry)
    try {
      await audit(entry)
    } catch {
      // The audit file could not be written, which must not stop the guard.
    }
  }

  /** Like {@link write}, but once while the message stays the same except for its numbers. */
  async say(action: AuditAction, to: number, reason: string): Promise<void> {
    // A dry run goes on to see the same harm in other words.
    const what = action === 'rollback' ? '' : reason
    const key = `${action} ${to} ${what.replaceAll(/[\d.,:]+/g, '#')}`
    if (key === this.#said) return
    await this.write(action, to, reason)
    this.#said = key
  }

  /** Tells what another plan this is, a line each. */
  async tellPlan(before: PlanLines): Promise<void> {
    const { percent } = this.#options.position
    for (const line of planChanges(before, this.#plan)) await this.write('plan', percent, line)
  }

  async save(): Promise<void> {
    const { dryRun, now, store, flag, position, eyes } = this.#options
    if (dryRun) return
    this.#savedAt = now()
    const savedAt = this.#savedAt
    try {
      const state = { ...position.state(), plan: this.#plan, savedAt, ...eyes.state() }
      await store.save({ version: 2, flag, ...state })
      await this.alarms.set('state', '', savedAt)
    } catch (error) {
      await this.alarms.set('state', problemAndRemedy(error), savedAt)
    }
  }

  /** Saves what the polls have seen, now and then. */
  async saveInTime(now: number): Promise<void> {
    if (now - this.#savedAt >= SAVE_EVERY_MS) await this.save()
  }
}

/** The problem and the remedy, on one line. */
export function problemAndRemedy(error: unknown): string {
  const hint = isSwitchbackError(error) && error.hint !== undefined ? `; ${error.hint}` : ''
  return messageOf(error) + hint
}
