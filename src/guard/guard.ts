import { setTimeout as sleep } from 'node:timers/promises'
import { isSwitchbackError, messageOf, SwitchbackError } from '../errors.ts'
import type { SplitReading } from './act/actuator.ts'
import { RolloutDriver } from './act/rollout-driver.ts'
import { Eyes } from './watch/eyes.ts'
import { FlagLook } from './watch/flag-look.ts'
import type { GuardOptions } from './options.ts'
import { RolloutPosition } from './act/position.ts'
import { problemAndRemedy, Records } from './act/records.ts'
import { planLines } from './plan/plan-changes.ts'
import { sharePercent, unseen } from './rule/index.ts'
import { statusOf } from './status/status.ts'
import type { GuardStatus, ToldIncident } from './status/status.ts'
import type { GuardState } from './act/state-store.ts'
import { incidentText } from './status/incident-text.ts'
import { whoIsOut } from './watch/sides-out.ts'

const KEPT_INCIDENTS = 5
/** A guard that ends waits so long for messages that are on their way. */
const DRAIN_MS = 5000

/** Why and since when a guard does nothing more. */
type Stopped = Pick<GuardState, 'phase' | 'reason' | 'stoppedAt'>

/** A guard that `createGuard` made. */
export interface RunningGuard extends AsyncDisposable {
  readonly status: GuardStatus
  /**
   * Polls until the signal is aborted, then releases the lease. Rejects only when it cannot start;
   * later problems are alarms, and the next poll tries again.
   */
  run(signal: AbortSignal, onStatus?: (status: GuardStatus) => void): Promise<void>
  /** Approves the step that waits for it; any other share is ignored. */
  approve(percent: number): void
  /**
   * One poll.
   * @throws SwitchbackError `SB_GUARD_SHAPE` when the flag's rule is not a split, `SB_GUARD_STATE_BROKEN`
   */
  tick(signal?: AbortSignal): Promise<GuardStatus>
  /** Saves and releases the lease, where `run` is not used. */
  close(): Promise<void>
}

/**
 * Watches both sides and moves the split along the plan, or back. One {@link Guard.tick} is one
 * poll; time, files and networks are passed in. In each poll the {@link FlagLook} reads the split,
 * the {@link Eyes} read the metrics, the {@link Driver} decides and acts, and the {@link Records}
 * report and save.
 */
export class Guard implements RunningGuard {
  readonly #options: GuardOptions
  readonly #dryRun: boolean
  readonly #now: () => number
  readonly #position: RolloutPosition
  readonly #eyes: Eyes
  readonly #records: Records
  readonly #flag: FlagLook
  readonly #driver: RolloutDriver
  readonly #incidents: ToldIncident[] = []
  #standbyFor = ''
  /** That metrics stay lost was told. */
  #paged = false
  #started = false
  /** The first start of this process: what was asked for by options is done once. */
  #asked = true

  constructor(options: GuardOptions) {
    const { plan, actuator, dryRun = false, now = Date.now } = options
    this.#options = options
    this.#dryRun = dryRun
    this.#now = now
    this.#position = new RolloutPosition(plan.steps)
    this.#eyes = new Eyes(plan, () => options.source.named ?? [])
    const parts = { ...options, dryRun, now, position: this.#position, eyes: this.#eyes }
    this.#records = new Records(parts)
    this.#flag = new FlagLook({
      actuator,
      alarms: this.#records.alarms,
      onMended: () => this.#eyes.shareChanged(),
    })
    this.#driver = new RolloutDriver({ ...parts, records: this.#records, flag: this.#flag })
  }

  get status(): GuardStatus {
    const { flag, plan } = this.#options
    const { phase, percent, next, awaiting, reason, paused } = this.#position
    return statusOf(this.#eyes, {
      at: this.#now(),
      flag,
      dryRun: this.#dryRun,
      standbyFor: this.#standbyFor,
      standbyUntil: this.#standbyFor === '' ? undefined : this.#options.lease.until,
      phase,
      percent,
      next,
      awaiting,
      paused,
      reason,
      alarms: this.#records.alarms.list,
      ended: this.#records.alarms.ended(this.#now()),
      expected: this.#flag.expected,
      messages: this.#options.notifier?.counts ?? { sent: 0, failed: 0 },
      plan: {
        steps: plan.steps,
        minHoldS: plan.judge.minHoldS ?? 60,
        intervalMs: plan.intervalMs,
      },
      lateMs: plan.lateS * 1000,
      incidents: this.#incidents,
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
    await this.#refuseWhenHelpless(signal)
    try {
      for (let first = true; !signal.aborted; first = false) {
        const begun = this.#now()
        try {
          onStatus(await this.tick(signal))
        } catch (error) {
          if (first) throw error
          await this.#records.alarms.set('state', problemAndRemedy(error), begun)
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
    if (!this.#started) await this.#start(signal)
    if (!this.#dryRun) await this.#obey(signal)
    const split = await this.#flag.split(now)
    if (split !== undefined) {
      if (split.percent !== this.#position.percent) await this.#driver.yieldTo(split)
      await this.#flag.served(now)
    }
    const poll = await this.#options.source.poll(signal)
    if (signal?.aborted === true) return this.status
    const at = this.#eyes.see(poll, now)
    // Until all have the change the users seen are not in the ratio that was set.
    const plain = this.#flag.plain && this.#flag.waiting === ''
    await this.#eyes.raise(this.#records.alarms, now, this.#position.percent, plain)
    await this.#records.alarms.set('notify', this.#options.notifier?.trouble ?? '', now)
    await this.#page()
    await this.#driver.decide(at)
    await this.#tellIncidents(now)
    await this.#records.saveInTime(now)
    const { status } = this
    try {
      await this.#options.publish?.(status)
    } catch {
      // Who wants to know finds it old; going back matters more.
    }
    return status
  }

  async close(): Promise<void> {
    if (this.#started && !this.#dryRun) {
      await this.#records.save()
      const reason = 'the guard was stopped; the rollout is no longer watched'
      await this.#records.write('stop', this.#position.percent, reason)
    }
    this.#started = false
    if (!this.#dryRun) await this.#options.lease.release()
    await this.#options.notifier?.drain(DRAIN_MS)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start(signal: AbortSignal | undefined): Promise<void> {
    const { actuator, store, flag, resume = false, forget = false, from = 0 } = this.#options
    const split = await actuator.read()
    if (split.percent === undefined) {
      throw new SwitchbackError('SB_GUARD_SHAPE', `The rule of ${flag}: ${split.detail}`, {
        hint: 'The guard can move only a split; run switchback validate.',
      })
    }
    const asked = this.#asked
    const saved = this.#dryRun || (forget && asked) ? undefined : await store.load()
    const known = saved?.flag === flag ? saved : undefined
    const stopped = known?.phase === 'rolled back' || known?.phase === 'yielded'
    // Set by hand while no guard ran: without --resume it yields to it.
    const edited = known !== undefined && !isOwn(split.percent, known)
    const resumed = (stopped || edited) && resume && asked
    if (resumed) await this.#refuseWhileOut(signal)
    const gapS = known === undefined ? 0 : Math.max(0, (this.#now() - known.savedAt) / 1000)
    const anew = this.#eyes.begin(known && this.#expecting(known), gapS)
    if (resumed || anew.length > 0) this.#eyes.beginEpoch(resumed ? undefined : anew)
    this.#position.begin(split.percent, resumed ? undefined : known, from)
    if (!this.#eyes.judging) this.#position.rejudge()
    this.#asked = false
    this.#started = true
    const how =
      known === undefined ? 'starts with a baseline' : `continues: ${this.#position.phase}`
    const { percent } = this.#position
    await this.#records.write('start', percent, `the guard ${how}`)
    if (forget && asked) await this.#epoch('begun by --forget; all that was known is forgotten')
    if (known?.plan === undefined && known !== undefined) {
      await this.#epoch('the state is of an older version; evidence begins at nothing')
    } else if (known?.plan !== undefined) await this.#records.tellPlan(known.plan)
    if (resumed) await this.#epoch(this.#resumedText(known!, '--resume'))
    else if (anew.length > 0) {
      const what = anew.join(', ')
      await this.#epoch(`another measure of ${what}: its evidence and baseline begin at nothing`)
    }
    await this.#records.save()
  }

  /** What another plan expected to hear is not missing. */
  #expecting(known: GuardState): GuardState {
    const { sources } = planLines(this.#options.plan)
    const same = known.plan === undefined || known.plan['sources'] === sources
    return same ? known : { ...known, blindness: unseen }
  }

  async #epoch(what: string): Promise<void> {
    const { percent } = this.#position
    await this.#records.write('epoch', percent, `epoch ${this.#eyes.epoch}: ${what}`)
  }

  #resumedText(known: Stopped, by: string): string {
    const { epoch } = this.#eyes
    const alpha = this.#options.plan.judge.alpha ?? 0.01
    const most = sharePercent(Math.min(1, epoch * alpha))
    return `${resumedText(known, by)}; of ${epoch} attempts of a healthy rollout at most ${most} are taken back`
  }

  /** What keeps it from acting is said at the start, not when it is needed. */
  async #refuseWhenHelpless(signal: AbortSignal): Promise<void> {
    const { actuator, source, store, flag } = this.#options
    if (this.#dryRun || signal.aborted) return
    try {
      await actuator.check?.()
    } catch (cause) {
      const hint = isSwitchbackError(cause) ? cause.hint : undefined
      throw new SwitchbackError(
        'SB_GUARD_CANNOT_ACT',
        `the guard could not roll ${flag} back: ${messageOf(cause)}`,
        { cause, ...(hint === undefined ? {} : { hint }) },
      )
    }
    // In the middle of a rollout missing metrics are an alarm, and no reason to end.
    if ((await store.load().catch(() => undefined)) !== undefined) return
    const { readings, failures } = await source.poll(signal)
    if (readings.length > 0 || signal.aborted) return
    const why = failures.map(({ replica, message }) => `${replica} ${message}`).join('; ')
    throw new SwitchbackError(
      'SB_GUARD_CANNOT_ACT',
      `the guard has no metrics to begin with: ${why || 'no process is known'}`,
      {
        hint: 'Start the app first, or name its metrics with --metrics, --prometheus or the plan.',
      },
    )
  }

  /** Beginning again on a side that cannot be reached would only harm users again. */
  async #refuseWhileOut(signal: AbortSignal | undefined): Promise<void> {
    if (this.#options.force === true) return
    const who = whoIsOut(this.#eyes.look(await this.#options.source.poll(signal)))
    if (who === '') return
    throw new SwitchbackError('SB_GUARD_SIDE_OUT', `${who}; not beginning`, {
      hint: 'Repair it first, or resume nevertheless with --force.',
    })
  }

  /** A person's order, left by another process. */
  async #obey(signal: AbortSignal | undefined): Promise<void> {
    const order = await this.#options.store.takeOrder?.().catch(() => undefined)
    if (order === undefined) return
    if (order.kind === 'resume') await this.#resume(order.who, signal)
    else if (order.kind === 'promote') this.#driver.promote(order.to, order.who)
    else await this.#driver.pause(order.kind === 'pause', order.who)
  }

  /** As `--resume` at a start, of a guard that runs. */
  async #resume(who: string, signal: AbortSignal | undefined): Promise<void> {
    const position = this.#position
    const { stopped, percent: before } = position
    if (!stopped) return
    const refuse = (why: string): Promise<void> =>
      this.#records.write('hold', before, `not resumed by ${who}: ${why}`)
    const split = await this.#options.actuator.read().catch((error: unknown) => error)
    if (typeof split !== 'object' || split === null || !('percent' in split)) {
      return refuse(messageOf(split))
    }
    const { percent: share, detail } = split as SplitReading
    if (share === undefined) return refuse(`the rule is not a split (${detail})`)
    const out = whoIsOut(this.#eyes.look(await this.#options.source.poll(signal)))
    if (out !== '') return refuse(out)
    const known = position.state()
    this.#eyes.beginEpoch()
    position.begin(share, undefined)
    await this.#epoch(this.#resumedText(known, who))
    await this.#records.save()
  }

  /** `lost.then: page`: the alarm has lasted for so long that a person has to look. */
  async #page(): Promise<void> {
    const { plan, notifier } = this.#options
    const { sight, blindS } = this.#eyes.sight
    const lost = sight === 'lost' && plan.lost === 'page' && this.#position.percent > 0
    if (lost && !this.#paged) {
      const what = `no metrics for ${Math.round(blindS)} s; the guard holds and cannot see harm`
      const told = notifier !== undefined && plan.notify.onAlarm.length > 0
      const whom = told
        ? ''
        : '; no person is notified: the plan names no receiver in notify.onAlarm'
      await this.#records.write('page', this.#position.percent, what + whom)
    }
    this.#paged = lost
  }

  async #tellIncidents(now: number): Promise<void> {
    if (this.#position.phase === 'rolled back') return
    for (const incident of this.#eyes.incidents) {
      const sentence = incidentText(incident)
      this.#incidents.unshift({ at: now, sentence })
      this.#incidents.length = Math.min(this.#incidents.length, KEPT_INCIDENTS)
      await this.#records.write('incident', this.#position.percent, sentence)
    }
  }
}

/** The share that it noted, or that it was about to write when it was killed. */
function isOwn(
  share: number,
  { percent, intent }: Pick<GuardState, 'percent' | 'intent'>,
): boolean {
  return share === percent || share === intent
}

/** How the new attempt came about. */
function resumedText({ phase, reason, stoppedAt }: Stopped, by: string): string {
  const when = stoppedAt === 0 ? '' : ` of ${new Date(stoppedAt).toISOString().slice(11, 16)}`
  const after =
    phase === 'rolled back'
      ? `the rollback${when} (${reason})`
      : phase === 'yielded'
        ? `it yielded${when}`
        : 'the share was set by hand while no guard ran'
  return `begun by ${by} after ${after}; evidence begins at nothing`
}
