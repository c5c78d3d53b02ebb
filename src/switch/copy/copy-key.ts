import { FOREIGN, keyNamed, type MaybePromise } from '../../cache/index.ts'
import type { Decision } from '../../flags/index.ts'
import { otherSide, type Side } from '../../side.ts'
import { noTelemetry } from '../../telemetry/index.ts'
import { Coherence } from '../truth/coherence.ts'
import type { Debts } from '../truth/debts.ts'
import type { Follower } from '../truth/follower.ts'
import type { GuardedSide } from '../sides/guarded-side.ts'
import { Moves } from '../reads/moves.ts'
import { PinnedOperation } from '../operation.ts'

/**
 * - `copied`: the other side has it now (of a dry run: it would); `present`: it had a value;
 * - `refused`: nobody can say that the value is the latest;
 * - `expired`: it has expired, was deleted or replaced, or is of an earlier era of the store;
 * - `foreign`: another program's data is under the key, on either side;
 * - `failed`: a side did not answer.
 */
export type Copied = 'copied' | 'present' | 'refused' | 'expired' | 'foreign' | 'failed'

export interface CopyKeyParts {
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly debts: Debts
  readonly follower: Follower | undefined
  /** No longer read, whatever the flag says. */
  readonly retired: Side | undefined
}

export interface KeyResult {
  readonly what: Copied
  /** Characters of its value, where one was read. */
  readonly size: number
}

/**
 * Copies one key as its user would who has just changed sides and calls `get`: by the same reads and the same
 * conditional write. Nothing is counted as that user's.
 */
export class CopyKey {
  readonly #parts: CopyKeyParts
  readonly #to: Side
  readonly #decision: Decision
  readonly #coherence: Coherence
  readonly #moves: Moves

  constructor(parts: CopyKeyParts, to: Side) {
    const { debts, follower } = parts
    this.#parts = parts
    this.#to = to
    this.#decision = { side: to, variant: to, reason: 'STATIC', errorCode: '', source: 'default' }
    this.#coherence = new Coherence({ debts, recorder: noTelemetry, follower })
    this.#moves = new Moves({ debts, recorder: noTelemetry, follower })
  }

  /** @param name under which the stores have it. Never rejects. */
  async run(name: string, dryRun: boolean): Promise<KeyResult> {
    const { sides, retired } = this.#parts
    const [to, from] = [sides[this.#to], sides[otherSide(this.#to)]]
    const key = keyNamed(name)
    const gone = retired !== undefined
    const op = new PinnedOperation('get', key, this.#decision, to, from, 'invalidate', gone, 0)
    const found = await this.#coherence.read(op)
    if (op.place !== to) return to.usable && op.outcome === 'fell_back' ? REFUSED : FAILED
    const size = op.cell.payload.length
    if (found) return { what: 'present', size }
    const missed = op.cell
    if (missed.token === FOREIGN) return FOREIGN_THERE
    const taken = dryRun ? 'nothing' : await this.#moves.takeOver(op, false)
    if (taken === 'moved') return { what: 'copied', size: op.cell.payload.length }
    // Why not: the protocol itself only needs to know that it is so.
    const there = op.standbyCell ?? (await answer(() => from.read(key)))
    if (there === undefined) return FAILED
    const isValue = there.state === 'value'
    const isForeign =
      there.token === FOREIGN || (await answer(() => hides(isValue ? to : from, key)))
    if (isForeign === undefined) return FAILED
    if (isForeign) return FOREIGN_THERE
    if (!isValue) return { what: 'expired', size: 0 }
    return { what: dryRun ? 'copied' : 'refused', size: there.payload.length }
  }
}

/** An invalidation of the key is pending, or all of the side is distrusted. */
export const REFUSED: KeyResult = { what: 'refused', size: 0 }
const FAILED: KeyResult = { what: 'failed', size: 0 }
export const FOREIGN_THERE: KeyResult = { what: 'foreign', size: 0 }

function hides(side: GuardedSide, key: string): Promise<boolean> {
  return side.hold(Promise.resolve(side.backend.hides?.(key) ?? false))
}

async function answer<T>(ask: () => MaybePromise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch {
    return undefined
  }
}
