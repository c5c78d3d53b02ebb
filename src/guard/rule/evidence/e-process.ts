import { edgeOf } from '../count/increment.ts'
import type { Margin, Stratum } from '../count/increment.ts'
import { logSumExp } from './logarithms.ts'
import { atEffect, incrementsOf, scaleOf, SCALES } from './scales.ts'
import { packMark, unpackMark } from '../count/tally.ts'
import type { Effect, Mark, PackedMark, Tally } from '../count/tally.ts'

/** - `harm`: treatment is worse than the margin; `safety`: it is better. */
export type Direction = 'harm' | 'safety'

/** How much worse than the margin the bets say treatment is: from a creeping harm to an outage. */
export const HARM_BETS: readonly number[] = [1.25, 1.6, 2.5, 6, 30]

const WATCH_EVERY_S = 60
const WATCHES_PER_OCTAVE = 4

interface Watch {
  readonly openedAt: number
  mass: number
  readonly logs: Float64Array
  readonly mark: Mark
  /** What each replica had added. */
  readonly replicas: ReadonlyMap<string, Float64Array>
}

export interface EvidenceState {
  readonly logs: readonly number[]
  readonly opened: number
  readonly watches: readonly {
    readonly openedAt: number
    readonly mass: number
    readonly logs: readonly number[]
    readonly mark: PackedMark
  }[]
}

export interface EvidenceReading {
  /** Natural logarithm of the evidence; {@link exact} false: an upper bound of it, below what was asked for. */
  readonly logEvidence: number
  readonly exact: boolean
  /** The watch that contributes most; undefined where there is none, and everything counts. */
  readonly watch: Watch | undefined
  readonly effect: Effect
}

/** Whose the harm is, mostly. */
export interface WorstReplica {
  readonly replica: string
  /** Of treatment's errors. */
  readonly share: number
  /** Without it there would be next to no evidence. */
  readonly alone: boolean
}

/**
 * Evidence about one metric in one direction, an e-process: it may be looked at after every poll. For harm,
 * a *watch* opens every minute and sees only what comes after it, since a late regression must not need
 * more evidence than healthy hours have eaten: `E = sum_watch mass * mean_j exp(L_j,k / (D / 4^k))`.
 * Dividing by `D` when the evidence is read, not as it is gathered, keeps the false alarms down.
 */
export class EProcess {
  readonly margin: Margin
  readonly #direction: Direction
  readonly #tally: Tally
  #logs: Float64Array
  #opened = 0
  #watches: Watch[] = []
  /** What the open strata have added so far, by replica: logarithms, then treatment's bad operations. */
  readonly #open = new Map<string, Float64Array>()
  /** The same of all strata. Not saved: it tells whose the harm is, and decides nothing. */
  readonly #replicas = new Map<string, Float64Array>()

  constructor(direction: Direction, margin: Margin, tally: Tally, state?: EvidenceState) {
    this.#direction = direction
    this.margin = margin
    this.#tally = tally
    this.#logs = new Float64Array(SCALES * this.bets(0.1).length)
    if (state === undefined) return
    this.#logs = Float64Array.from(state.logs)
    this.#opened = state.opened
    this.#watches = state.watches.map(({ logs, mark, ...rest }) => ({
      ...rest,
      logs: Float64Array.from(logs),
      mark: unpackMark(mark),
      replicas: new Map(),
    }))
  }

  /** What treatment's rate is bet to be, before a stratum is seen. Zero is no bet: there is nothing worse than the margin. */
  bets(controlRate: number): readonly number[] {
    const edge = edgeOf(this.margin, controlRate)
    if (this.#direction === 'harm') {
      return HARM_BETS.map((factor) => {
        const bet = Math.min(1, factor * edge)
        return bet > edge ? bet : 0
      })
    }
    const low = Math.max(controlRate, edge / 16)
    const middle = Math.sqrt(low * edge)
    return [low, middle, (middle + edge) / 2]
  }

  /** Whether a watch is to be opened before what is seen now. The open strata must be ended first. */
  isWatchDue(at: number): boolean {
    if (this.#direction === 'safety') return false
    const last = this.#watches.at(-1)
    return (
      last === undefined ||
      Math.floor(at / WATCH_EVERY_S) !== Math.floor(last.openedAt / WATCH_EVERY_S)
    )
  }

  /** Opens a watch. It begins a slot too. */
  openWatch(at: number, controlRate: number): void {
    this.#tally.closeSlot()
    const mass = 1 / ((this.#opened + 1) * (this.#opened + 2))
    this.#opened++
    this.#watches.push({
      openedAt: at,
      mass,
      logs: this.#logs.slice(),
      mark: this.#tally.mark(),
      replicas: new Map(Array.from(this.#replicas, ([name, logs]) => [name, logs.slice()])),
    })
    this.#thin(at, controlRate)
  }

  /**
   * What a replica's stratum holds so far; the tally is added to beside it.
   * @param controlRate from before the stratum was opened
   */
  add(replica: string, counts: Stratum, controlRate: number): void {
    const size = this.#logs.length
    const now = new Float64Array(size + 1)
    now.set(incrementsOf(this.margin, counts, this.bets(controlRate), controlRate))
    now[size] = counts.badTreatment
    const before = this.#open.get(replica)
    let own = this.#replicas.get(replica)
    if (own === undefined) this.#replicas.set(replica, (own = new Float64Array(size + 1)))
    for (let i = 0; i <= size; i++) {
      const more = now[i]! - (before?.[i] ?? 0)
      if (i < size) this.#logs[i]! += more
      own[i]! += more
    }
    this.#open.set(replica, now)
  }

  /** A stratum is over; the replica's next one adds to it. */
  endStratum(replica: string): void {
    this.#open.delete(replica)
  }

  endStrata(): void {
    this.#open.clear()
  }

  /**
   * @param atLeast the evidence that would matter: when not even an upper bound reaches it, the costly exact
   * value is not computed. No effect is smaller than the run's over users, and the masses sum to at most 1.
   */
  read(controlRate: number, atLeast: number = -Infinity): EvidenceReading {
    const nothing = { watch: undefined, effect: { user: 1, time: 1, whole: 1 } }
    if (this.#direction === 'safety') {
      const effect = this.#tally.effect(undefined, controlRate)
      const logEvidence = atEffect(this.#logs, undefined, effect.whole)
      return { logEvidence, exact: true, watch: undefined, effect }
    }
    if (this.#watches.length === 0) return { logEvidence: 0, exact: true, ...nothing }
    if (atLeast > 0) {
      const logEvidence = this.#bound()
      if (logEvidence < atLeast) return { logEvidence, exact: false, ...nothing }
    }
    const values = this.#watches.map(
      (watch) => Math.log(watch.mass) + this.#value(watch, controlRate),
    )
    const watch = this.#watches[values.indexOf(Math.max(...values))]
    const effect = this.#tally.effect(watch?.mark, controlRate)
    return { logEvidence: logSumExp(values), exact: true, watch, effect }
  }

  /** The replica with most of treatment's errors since the watch of a reading; undefined of one replica. */
  worst({ watch, effect }: EvidenceReading): WorstReplica | undefined {
    if (this.#replicas.size < 2) return undefined
    const size = this.#logs.length
    let [worst, most, all] = ['', 0, 0]
    const since = (replica: string, i: number): number =>
      this.#replicas.get(replica)![i]! - (watch?.replicas.get(replica)?.[i] ?? 0)
    for (const replica of this.#replicas.keys()) {
      const bad = since(replica, size)
      all += bad
      if (bad > most) [worst, most] = [replica, bad]
    }
    if (most === 0) return undefined
    const others = this.#logs.map((log, i) => log - since(worst, i))
    const log = Math.log(watch?.mass ?? 1) + atEffect(others, watch?.logs, effect.whole)
    return { replica: worst, share: most / all, alone: log < Math.log(20) }
  }

  /** Logarithms so far, and those that a watch began with: what an estimate goes on from. */
  get logs(): Float64Array {
    return this.#logs
  }

  get watches(): number {
    return this.#watches.length
  }

  state(): EvidenceState {
    return {
      logs: Array.from(this.#logs),
      opened: this.#opened,
      watches: this.#watches.map(({ openedAt, mass, logs, mark }) => ({
        openedAt,
        mass,
        logs: Array.from(logs),
        mark: packMark(mark),
      })),
    }
  }

  #bound(): number {
    const run = this.#tally.runEffect
    const bets = this.#logs.length / SCALES
    let bound = 0
    for (let k = scaleOf(run); k < SCALES; k++) {
      const rest = Math.max(1, run / 4 ** k)
      for (let i = k * bets; i < (k + 1) * bets; i++) {
        for (const watch of this.#watches) {
          bound = Math.max(bound, (this.#logs[i]! - watch.logs[i]!) / rest)
        }
      }
    }
    return bound
  }

  #value(watch: Watch, controlRate: number): number {
    return atEffect(this.#logs, watch.logs, this.#tally.effect(watch.mark, controlRate).whole)
  }

  /**
   * Of two watches of about the same age the older one stays. It inherits the mass of the other, less
   * where it has less evidence: the sum never rises by thinning, so the guarantee stands.
   */
  #thin(at: number, controlRate: number): void {
    const kept: Watch[] = []
    let slot = Infinity
    for (const watch of this.#watches) {
      const age = Math.max(1, (at - watch.openedAt) / WATCH_EVERY_S)
      const mine = age < 2 ? -at + watch.openedAt : Math.floor(WATCHES_PER_OCTAVE * Math.log2(age))
      const older = kept.at(-1)
      if (mine === slot && older !== undefined) {
        const less = this.#value(watch, controlRate) - this.#value(older, controlRate)
        older.mass += watch.mass * Math.exp(Math.min(0, less))
      } else {
        kept.push(watch)
        slot = mine
      }
    }
    this.#watches = kept
  }
}
