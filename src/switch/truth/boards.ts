import { randomUUID } from 'node:crypto'
import {
  type Board,
  type BoardState,
  CALM_MS,
  type Cell,
  LICENCE_MS,
  type NotedOn,
  type OwedOn,
  type Word,
} from '../../cache/index.ts'
import { otherSide, type Side } from '../../side.ts'
import type { Recorder } from '../../telemetry/index.ts'
import { Deadlines } from '../sides/deadlines.ts'
import type { Notify } from '../events.ts'
import type { GuardedSide } from '../sides/guarded-side.ts'

const TICK_MS = 200
const TICK_DEADLINE_MS = 100
/** A store that has not answered for so long is out, for this process. */
const OUT_MS = 500
/** A wait looks at the board so often, */
const CONTACT_MS = 50
/** and begins again when it has not for so long, in which the board may have been out: less than `OUT_MS`. */
const GAP_MS = 400
/** For timers that fire early. */
const SLACK_MS = 5
/** A write is answered after this long, whoever could be told. */
const PATIENCE_MS = 5000

/** What this process knows of a store. */
interface Known {
  state: BoardState | undefined
  /** When it said so, by `performance.now()`. */
  at: number
  /** Since when it has not answered; 0 while it does. */
  outSince: number
  /** What is to be said to it: by the board in the other store, or in its absence. */
  word: Word | undefined
  /** The wait under way for the end of its licences. */
  wait:
    | { readonly stamp: string; readonly since: number; readonly ended: Promise<boolean> }
    | undefined
}

export interface BoardsParts {
  /** Both have a board. */
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly maxOwed: number
  readonly recorder: Recorder
  readonly notify: Notify
}

/**
 * Two stores that all machines share, each the board of the other: what one of them owes stands in the other, for
 * every process to see. A process uses a side under the licence that stands in it, which somebody renews several
 * times a second as long as its board is clear; without one it asks the board for each key.
 *
 * Who notes something on a board that was clear waits until all licences from before have ended. While the board
 * is not clear nobody waits again. `test/model/two-stores.ts` tells what each step is for.
 */
export class Boards {
  readonly #parts: BoardsParts
  readonly #known: Record<Side, Known> = { off: unknown(), on: unknown() }
  readonly #deadlines: Record<Side, Deadlines>
  readonly #timers: Partial<Record<Side, NodeJS.Timeout>> = {}
  #closed = false
  /** Both sides are one and the same store: whatever one side writes, the other deletes. */
  isOneStore = false

  constructor(parts: BoardsParts) {
    this.#parts = parts
    const deadline = (side: Side): Deadlines =>
      new Deadlines(TICK_DEADLINE_MS, `the tick of the ${side} side`)
    this.#deadlines = { off: deadline('off'), on: deadline('on') }
    for (const side of ['off', 'on'] as const) void this.#ticks(side)
  }

  /** The side's cells may be used without asking. */
  licensed(side: Side): boolean {
    return this.#boardOf(side).licensed
  }

  /** Asks the board, then reads. `undefined`: the side owes the key, or nobody vouches for it. */
  async read(side: Side, key: string): Promise<Cell | undefined> {
    const board = this.#parts.sides[otherSide(side)]
    if (!board.usable) return undefined
    let stamp: string
    try {
      const answer = await board.hold(this.#boardOf(board.side).ask(key))
      if (answer.owes) return undefined
      ;({ stamp } = answer)
    } catch {
      return undefined
    }
    return this.#parts.sides[side].hold(this.#boardOf(side).read(key, stamp))
  }

  /**
   * Notes that the side owes the key (none: everything), and waits until nobody uses it any more who does not
   * know. False: that could not be done, and this process alone knows. Never rejects.
   */
  async owe(side: Side, key: string | undefined, notBefore: number): Promise<boolean> {
    const { sides, maxOwed } = this.#parts
    const board = sides[otherSide(side)]
    const owed: OwedOn = { key, value: `${randomUUID()}|${Math.ceil(notBefore)}` }
    const giveUp = performance.now() + PATIENCE_MS
    try {
      while (board.usable && performance.now() < giveUp) {
        const { stamp } = this.#known[board.side].state ?? (await this.#tick(board.side))
        const noted = await board.hold(this.#boardOf(board.side).note(owed, stamp, maxOwed))
        if (noted === undefined) await this.#tick(board.side)
        else if (await this.#licencesEnd(side, stamp, noted, giveUp)) return true
      }
    } catch {
      // The board did not answer.
    }
    // Nothing that was sent and not answered may land after a write that comes later.
    const { backend, deadlineMs } = sides[side]
    await sleep(Math.min(notBefore - backend.now(), 2 * deadlineMs))
    return false
  }

  /**
   * Begins an era that nothing is in yet, or notes that everything is owed: as soon as a store can be told. False:
   * none could be, and this process alone knows.
   */
  async distrust(side: Side): Promise<boolean> {
    const guarded = this.#parts.sides[side]
    const giveUp = performance.now() + PATIENCE_MS
    for (;;) {
      try {
        if (!guarded.usable) throw new Error('the side is out')
        await this.renew(side)
        break
      } catch {
        if (await this.owe(side, undefined, guarded.mayLandUntil())) break
      }
      if (performance.now() > giveUp) return false
      await sleep(CONTACT_MS)
    }
    // Until then others go on in the era before, under its licences, and move its values to the other side.
    const { off, on } = this.#parts.sides
    await sleep(LICENCE_MS + Math.max(off.deadlineMs, on.deadlineMs) + SLACK_MS)
    return true
  }

  async renew(side: Side): Promise<void> {
    const guarded = this.#parts.sides[side]
    // Somebody else may have begun an era that is in use by now.
    await this.#tick(side)
    await guarded.hold(guarded.backend.renew!())
  }

  /** How many invalidations the side owes, as last heard. */
  count(side: Side): number {
    return this.#known[otherSide(side)].state?.owed ?? 0
  }

  list(side: Side, limit: number): Promise<readonly OwedOn[]> {
    const board = this.#parts.sides[otherSide(side)]
    return board.hold(this.#boardOf(board.side).list(limit))
  }

  async settle(side: Side, owed: OwedOn): Promise<boolean> {
    const board = this.#parts.sides[otherSide(side)]
    const settled = await board.hold(this.#boardOf(board.side).settle(owed))
    const known = this.#known[board.side]
    // Until it is heard again.
    if (settled && known.state !== undefined) {
      const rest = owed.key === undefined ? 0 : Math.max(0, known.state.owed - 1)
      known.state = { ...known.state, owed: rest }
    }
    return settled
  }

  close(): void {
    this.#closed = true
    for (const side of ['off', 'on'] as const) {
      clearTimeout(this.#timers[side])
      this.#deadlines[side].close()
    }
  }

  #boardOf(side: Side): Board {
    return this.#parts.sides[side].backend.board!
  }

  async #ticks(side: Side): Promise<void> {
    await this.#tick(side).catch(() => undefined)
    if (this.#closed) return
    const pause = TICK_MS * (0.8 + 0.4 * Math.random())
    this.#timers[side] = setTimeout(() => void this.#ticks(side), pause).unref()
  }

  /** Says to the store what the other one says of it, and hears what it says of the other one. */
  async #tick(side: Side): Promise<BoardState> {
    const known = this.#known[side]
    const about = this.#known[otherSide(side)]
    // By the other store's clock, before this one is asked.
    const age = performance.now() - about.at
    const fresh = about.state !== undefined && age < LICENCE_MS
    const until = fresh ? about.state!.now + age + LICENCE_MS : 0
    try {
      const state = await this.#deadlines[side].hold(this.#boardOf(side).tick(known.word))
      known.state = state
      known.at = performance.now()
      if (about.state?.stamp === state.stamp) this.#tellOneStore()
      known.outSince = 0
      about.word = { says: state.owing ? 'i' : 'c', until, stamp: state.stamp }
      return state
    } catch (error) {
      const now = performance.now()
      known.outSince ||= now
      const outMs = now - known.outSince
      const wasSilent = about.word === undefined
      about.word =
        outMs < OUT_MS ? undefined : { says: outMs < CALM_MS ? 'o' : 's', until, stamp: '' }
      // Its licence may be about to end.
      if (wasSilent && about.word !== undefined)
        void this.#tick(otherSide(side)).catch(() => undefined)
      throw error
    }
  }

  #tellOneStore(): void {
    if (this.isOneStore) return
    this.isOneStore = true
    this.#parts.notify({ type: 'promises-less', detail: ONE_STORE })
  }

  /** Whether the licences from before the board was indebted have ended, in unbroken contact with it. */
  #licencesEnd(side: Side, stamp: string, noted: NotedOn, giveUp: number): Promise<boolean> {
    const { since, leftMs } = noted
    if (leftMs + SLACK_MS <= 0) return Promise.resolve(true)
    const known = this.#known[side]
    if (known.wait?.stamp === stamp && known.wait.since === since) return known.wait.ended
    this.#parts.recorder.event(side, 'waited')
    const wait = { stamp, since, ended: this.#wait(otherSide(side), stamp, noted, giveUp) }
    known.wait = wait
    return wait.ended.finally(() => {
      if (known.wait === wait) known.wait = undefined
    })
  }

  async #wait(board: Side, stamp: string, noted: NotedOn, giveUp: number): Promise<boolean> {
    const { sides, maxOwed } = this.#parts
    let { since } = noted
    let until = performance.now() + noted.leftMs + SLACK_MS
    let contactAt = performance.now()
    while (performance.now() < until) {
      await sleep(Math.min(CONTACT_MS, until - performance.now()))
      if (performance.now() > giveUp) return false
      try {
        const again = await sides[board].hold(this.#boardOf(board).note(undefined, stamp, maxOwed))
        // It has lost what was noted.
        if (again === undefined) return false
        const now = performance.now()
        if (now - contactAt > GAP_MS || again.since !== since) until = now + LICENCE_MS + SLACK_MS
        contactAt = now
        ;({ since } = again)
      } catch {
        contactAt = Number.NEGATIVE_INFINITY
        until = Number.POSITIVE_INFINITY
      }
    }
    return true
  }
}

/** An era has a nonce, so two stores never have the same. */
export const ONE_STORE =
  'both sides are the same Redis, database and prefix, so nothing stays cached. Give them two servers, two databases or two prefixes'

const unknown = (): Known => ({
  state: undefined,
  at: Number.NEGATIVE_INFINITY,
  outSince: 0,
  word: undefined,
  wait: undefined,
})

function sleep(ms: number): Promise<void> {
  return ms > 0 ? new Promise((resolve) => setTimeout(resolve, ms)) : Promise.resolve()
}
