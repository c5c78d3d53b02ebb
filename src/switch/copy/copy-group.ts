import { setTimeout as sleep } from 'node:timers/promises'
import {
  ABSENT,
  type Cell,
  EXPIRY_UNKNOWN,
  FOREIGN,
  isNamed,
  keyNamed,
  type ManyWrite,
} from '../../cache/index.ts'
import { otherSide, type Side } from '../../side.ts'
import { noTelemetry } from '../../telemetry/index.ts'
import { Moves } from '../reads/moves.ts'
import type { GuardedSide } from '../sides/guarded-side.ts'
import { NEVER_TRUSTED } from '../truth/trust.ts'
import { CopyKey, type CopyKeyParts, FOREIGN_THERE, type KeyResult, REFUSED } from './copy-key.ts'

/** A key that is on its way, with what was seen of it. */
interface Key {
  readonly at: number
  readonly key: string
  /** Of the side that it goes to. */
  missed: Cell
  fence: number
  /** Of the side that it comes from. */
  found: Cell
}

interface Seen {
  readonly one: Key
  readonly cell: Cell
  /** What was written before is not to be trusted. */
  readonly fence: number
}

/** How long a licence is waited for, and how often. */
const LICENCE_MS = 2000
const LOOK_MS = 20
const TRIES = 5

/**
 * Copies many keys with few commands and without a promise for each, where nothing is out of the ordinary: what
 * `CopyKey` asks of each, in the same order. Whatever it does not know to be plain it leaves to `CopyKey`
 * (test/switch/copy-group.test.ts: both do the same).
 */
export class CopyGroup {
  readonly #parts: CopyKeyParts
  readonly #one: CopyKey
  readonly #to: GuardedSide
  readonly #from: GuardedSide
  readonly #moves: Moves

  constructor(parts: CopyKeyParts, to: Side) {
    const { sides, debts, follower } = parts
    this.#parts = parts
    this.#one = new CopyKey(parts, to)
    this.#to = sides[to]
    this.#from = sides[otherSide(to)]
    this.#moves = new Moves({ debts, recorder: noTelemetry, follower })
  }

  /** @param names under which the stores have them. Never rejects. */
  async run(names: readonly string[], dryRun: boolean): Promise<readonly KeyResult[]> {
    const results: (KeyResult | undefined)[] = names.map(() => undefined)
    const { retired, follower } = this.#parts
    const isPlain = retired === undefined && follower?.side !== this.#to.side
    if (isPlain && this.#to.backend.many !== undefined) {
      try {
        // What was read before the licence ended may be of an earlier era.
        for (let tries = 0; tries < TRIES; tries += 1) {
          await this.#licence()
          if (!(await this.#together(names, dryRun, results))) break
        }
      } catch {
        // What is left is asked about one by one, which tells what is wrong.
      }
    }
    const alone = async (result: KeyResult | undefined, at: number): Promise<KeyResult> =>
      result ?? this.#one.run(names[at]!, dryRun)
    return results.includes(undefined)
      ? Promise.all(results.map(alone))
      : (results as readonly KeyResult[])
  }

  /** Without it each key is asked about, and none moves. It lasts for moments only, and a busy machine may be late. */
  async #licence(): Promise<void> {
    const { debts } = this.#parts
    const [to, from] = [this.#to.side, this.#from.side]
    const until = performance.now() + LICENCE_MS
    while (!debts.vouchedFor(to) || !debts.vouchedFor(from)) {
      if (performance.now() > until) return
      await sleep(LOOK_MS)
    }
  }

  /** Those that have no result yet. True: the licence has ended before their values could be moved. */
  async #together(
    names: readonly string[],
    dryRun: boolean,
    results: (KeyResult | undefined)[],
  ): Promise<boolean> {
    const to = this.#to
    await to.meet()
    const startedAt = performance.now()
    const keys: Key[] = []
    for (const [at, name] of names.entries()) {
      if (results[at] !== undefined) continue
      keys.push({ at, key: keyNamed(name), missed: ABSENT, fence: 0, found: ABSENT })
    }
    const seen = await this.#look(to, keys)
    const missedOn = to.backend.now()
    const missing: Key[] = []
    for (const { one, cell, fence } of seen) {
      one.missed = cell
      one.fence = fence
      if (cell.state === 'value' && cell.writtenAt >= fence) {
        results[one.at] = { what: 'present', size: cell.payload.length }
      } else if (cell.token === FOREIGN) results[one.at] = FOREIGN_THERE
      else if (!dryRun && mayTakeOver(cell)) missing.push(one)
    }
    const moving: Key[] = []
    for (const { one, cell, fence } of await this.#look(this.#from, missing)) {
      one.found = cell
      const { key, missed } = one
      if (cell.token === FOREIGN) results[one.at] = FOREIGN_THERE
      else if (cell.state === 'value' && cell.writtenAt >= fence) {
        const isLatest =
          isNamed(missed, cell) ||
          (missed.state === 'absent' && this.#moves.mayMove({ standby: this.#from, key }, cell))
        if (isLatest) moving.push(one)
      }
    }
    await this.#date(moving)
    if (moving.length > 0 && !this.#parts.debts.vouchedFor(this.#from.side)) return true
    await this.#move(moving, results, !to.outlived(startedAt, missedOn))
    return false
  }

  /** What a side has that may be trusted. What is not in the answer is left to `CopyKey`. */
  async #look(side: GuardedSide, keys: readonly Key[]): Promise<readonly Seen[]> {
    const { debts } = this.#parts
    // Asked before the read: what is acknowledged from here on need not be seen.
    const trusted: number[] = []
    const asked: Key[] = []
    for (const one of keys) {
      const from = debts.trustedFrom(side.side, one.key)
      if (from === NEVER_TRUSTED) continue
      asked.push(one)
      trusted.push(from)
    }
    if (asked.length === 0 || !debts.vouchedFor(side.side)) return []
    const { changes } = debts
    const names = asked.map(({ key }) => key)
    const { many } = side.backend
    const cells =
      many === undefined
        ? await Promise.all(names.map((name) => side.read(name)))
        : await side.hold(many.read(names))
    const seen: Seen[] = []
    for (const [i, one] of asked.entries()) {
      const fence = debts.trustedSince(side.side, one.key, trusted[i]!, changes)
      if (fence !== NEVER_TRUSTED) seen.push({ one, cell: cells[i]!, fence })
    }
    return seen
  }

  /** Of values that another program wrote: when they end. Asked first: what is checked later must hold at the write. */
  async #date(moving: readonly Key[]): Promise<void> {
    const { backend } = this.#from
    const undated = moving.filter(({ found }) => found.expiresAt === EXPIRY_UNKNOWN)
    if (undated.length === 0 || backend.many?.claim === undefined) return
    const names = undated.map(({ key }) => key)
    const cells = undated.map(({ found }) => found)
    const ends = await this.#from.hold(backend.many.claim(names, cells))
    for (const [i, one] of undated.entries()) {
      const expiresAt = ends[i]
      if (expiresAt !== undefined) one.found = { ...one.found, expiresAt }
    }
  }

  async #move(
    moving: readonly Key[],
    results: (KeyResult | undefined)[],
    isRecent: boolean,
  ): Promise<void> {
    const { debts } = this.#parts
    const [to, from] = [this.#to, this.#from]
    const sent: Key[] = []
    const writes: ManyWrite[] = []
    for (const one of moving) {
      const { at, key, missed, found, fence } = one
      if (found.expiresAt === EXPIRY_UNKNOWN) continue
      const isFenced = debts.trustedFrom(to.side, key) !== fence
      if (
        !isRecent ||
        isFenced ||
        this.#moves.isYoung({ active: to, standby: from, fence }, missed)
      )
        results[at] = { ...REFUSED, size: found.payload.length }
      else {
        sent.push(one)
        writes.push({ key, entry: found, seen: missed })
      }
    }
    if (writes.length === 0) return
    const written = await to.hold(to.backend.many!.write(writes, to.deadlineMs))
    for (const [i, { at, found }] of sent.entries()) {
      const result = written[i]
      if (result === undefined || result.foreign === true) continue
      results[at] = { what: result.written ? 'copied' : 'refused', size: found.payload.length }
    }
  }
}

/** Whether the other side's value may take its place: there is nothing, or it names that value. */
function mayTakeOver({ state, successor }: Cell): boolean {
  return state === 'absent' || (state === 'tombstone' && successor !== '')
}
