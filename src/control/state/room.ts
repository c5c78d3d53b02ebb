import { randomBytes } from 'node:crypto'
import { messageOf, SwitchbackError } from '../../errors.ts'
import { type ChangeEffect, changeReading, effectOf } from './change-reading.ts'
import { FlagOutages } from './flag-outages.ts'
import { FlagWatch } from './flag-watch.ts'
import {
  type Evidence,
  type GuardOrder,
  type GuardReading,
  type GuardView,
  isStopped,
} from '../guard-view.ts'
import { headlineOf } from './headline.ts'
import { Fleet } from '../metrics/index.ts'
import { ProcessJudge } from './process-judge.ts'
import { pointOf, RecentSeries } from './series.ts'
import type { FlagsFile } from '../../rollout/index.ts'
import type { ControlHistory, ControlState } from './state.ts'
import { Switches } from './switches.ts'
import { wayBackOf } from './way-back.ts'

export interface RoomOptions {
  readonly file: FlagsFile
  readonly flag: string
  readonly flagd: string | false
  readonly replicas: readonly string[]
  /** The replicas were not named: the default address is tried. */
  readonly guessed: boolean
  readonly guard: GuardView | undefined
}

/** Receives updates. */
export interface RoomListener {
  tick(state: ControlState): void
  history(history: ControlHistory): void
}

const TICK_MS = 1000
/** How long the addresses of a headless service are believed. */
const RESOLVE_MS = 5000

/**
 * Everything that the page shows: replicas, flags file, flagd and guard, each of which may fail
 * without affecting the others. It changes nothing.
 */
export class Room {
  readonly boot: string = randomBytes(6).toString('base64url')
  readonly series: RecentSeries = new RecentSeries()
  readonly #fleet: Fleet
  readonly #watch: FlagWatch
  readonly #judge: ProcessJudge
  readonly #flagOutages = new FlagOutages()
  readonly #switches = new Switches()
  readonly #guard: GuardView | undefined
  readonly #flag: string
  #listener: RoomListener | undefined
  #timer: NodeJS.Timeout | undefined
  #resolving: NodeJS.Timeout | undefined
  #state: ControlState | undefined

  constructor({ file, flag, flagd, replicas, guessed, guard }: RoomOptions) {
    this.#fleet = new Fleet(replicas, { guessed, flag })
    this.#judge = new ProcessJudge(flag)
    this.#guard = guard
    this.#flag = flag
    const onChange = (): void => this.#listener?.history(this.history)
    this.#watch = new FlagWatch({ file, flag, flagd, onChange })
  }

  async start(listener: RoomListener): Promise<void> {
    await Promise.all([this.#watch.start(), this.#fleet.resolve()])
    this.#listener = listener
    this.#tick()
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
    this.#resolving = setInterval(() => void this.#fleet.resolve(), RESOLVE_MS).unref()
  }

  /** As of the last tick. */
  get state(): ControlState {
    return (this.#state ??= this.#read())
  }

  /** The last changes, oldest first. */
  get history(): ControlHistory {
    return this.#watch.history.slice(-200).map(changeReading)
  }

  /** The `/metrics` of the processes that must confirm a change of a flag. */
  confirming(flag: string): readonly string[] {
    return flag === this.#flag ? this.#fleet.confirming : this.#fleet.knowing(flag)
  }

  /** The flag is the page's, or that of a switch that a process reported. */
  knows(flag: string): boolean {
    return flag === this.#flag || this.#switches.flags.has(flag)
  }

  /** The guard's own metrics; `''` without a guard. */
  get guardMetrics(): string {
    return this.#guard?.metrics?.() ?? ''
  }

  /** The file was just changed: do not wait for the next look. */
  async refresh(): Promise<void> {
    await this.#watch.look()
    this.#state = this.#read()
    this.#listener?.tick(this.#state)
  }

  /** @throws {SwitchbackError} `SB_GUARD_NOT_ASKING` */
  async approve(percent: number, who: string): Promise<void> {
    if (this.#guard?.approve === undefined || this.#readGuard()?.awaiting !== percent) {
      throw new SwitchbackError(
        'SB_GUARD_NOT_ASKING',
        `no guard waits for an approval of ${percent} %`,
        {
          hint: 'look at its state again: it may have moved on or be holding',
        },
      )
    }
    await this.#guard.approve(percent, who)
  }

  /** @throws {SwitchbackError} `SB_GUARD_ORDER` */
  async order(order: GuardOrder): Promise<void> {
    const guard = this.#readGuard()
    const why = refusalOf(order, this.#guard?.order === undefined ? undefined : guard)
    if (why !== '') {
      throw new SwitchbackError('SB_GUARD_ORDER', `${why}; nothing was ordered`, {
        hint: 'look at its state again: it may have moved on or be holding',
      })
    }
    await this.#guard?.order?.(order)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    clearInterval(this.#resolving)
    this.#listener = undefined
    this.#fleet.close()
    await this.#watch.close()
  }

  #tick(): void {
    const state = this.#read()
    this.#state = state
    this.series.push(state.point)
    this.#listener?.tick(state)
  }

  #read(): ControlState {
    const at = Date.now()
    const flag = this.#watch.read()
    const fleet = this.#fleet.read()
    const guard = this.#readGuard()
    const { document, changedAt } = this.#watch
    const answers = this.#fleet.answers(flag.name)
    const processes = this.#judge.read(document, answers)
    const flagOutages = this.#flagOutages.read(at, answers)
    const lostSince = (since: number | null): { sum: number; seconds: number } =>
      this.series.total('all.lost', (since ?? at) / 1000, at / 1000)
    const lost = { off: lostSince(fleet.outSince.off), on: lostSince(fleet.outSince.on) }
    const switches = this.#switches.read(this.#fleet, document)
    const wayBack = wayBackOf({ now: at, flag, changedAt, fleet, processes })
    const share = flag.error === null ? shownShare(flag.description) : undefined
    return {
      at,
      boot: this.boot,
      headline: headlineOf({
        now: at,
        flag,
        changedAt,
        fleet,
        guard,
        processes,
        flagOutages,
        switches,
        wayBack,
        lost,
      }),
      flag,
      fleet,
      processes,
      flagOutages,
      switches,
      wayBack,
      guard: guard ?? null,
      point: pointOf(at, share, fleet.arms),
      effect: this.#effect(at),
    }
  }

  /** A guard that throws counts as stopped; the page continues. */
  #readGuard(): GuardReading | undefined {
    if (this.#guard === undefined) return undefined
    try {
      return finite(this.#guard.read())
    } catch (error) {
      const why = messageOf(error)
      const sentence = `The guard cannot be read: ${why}`
      return { ...STOPPED, sentence, at: Date.now() }
    }
  }

  #effect(at: number): ChangeEffect | null {
    const last = this.#watch.history.at(-1)
    return last === undefined ? null : effectOf(changeReading(last), this.series, at)
  }
}

/** Why a guard cannot take an order; `''` when it can. */
function refusalOf(order: GuardOrder, guard: GuardReading | undefined): string {
  if (guard === undefined) return 'no guard that takes orders is known here'
  if (order.kind === 'resume') {
    if (isStopped(guard)) return ''
    return `the guard has not stopped, so that there is nothing to resume: ${guard.sentence}`
  }
  if (guard.mode !== 'acting') return `the guard does not act: ${guard.sentence}`
  if (order.kind !== 'promote') return ''
  if ((guard.holding ?? '') !== '') return `an alarm holds the rollout: ${guard.holding}`
  if (guard.next === undefined) return 'this is the last step'
  return guard.next === order.to ? '' : `${guard.next} % is the next step`
}

/** JSON has no infinity, and the logarithm of no evidence is one. */
function finite(guard: GuardReading): GuardReading {
  const clamp = <T extends Evidence>(evidence: T): T => ({
    ...evidence,
    logEvidence: Math.max(-1e6, Math.min(1e6, evidence.logEvidence || 0)),
  })
  const metrics = guard.metrics.map((metric) => ({
    ...metric,
    harm: clamp(metric.harm),
    safety: metric.safety && clamp(metric.safety),
  }))
  return { ...guard, metrics }
}

const STOPPED = {
  mode: 'stopped',
  answer: undefined,
  metrics: [],
  plan: undefined,
  alarms: [],
} as const

/** A disabled flag gives everyone the default of the code: off. */
function shownShare(
  description: { readonly state: string; readonly share: number | undefined } | null,
): number | undefined {
  return description?.state === 'DISABLED' ? 0 : description?.share
}
