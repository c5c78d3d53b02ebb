import {
  type Cell,
  EXPIRY_UNKNOWN,
  type Following,
  type Heard,
  isNamed,
  storageKey,
} from '../../cache/index.ts'
import type { Side } from '../../side.ts'
import type { Recorder } from '../../telemetry/index.ts'
import type { Debts } from './debts.ts'
import type { Notify } from '../events.ts'
import type { GuardedSide } from '../sides/guarded-side.ts'
import type { FollowerHealth } from '../sides/health.ts'
import type { PinnedOperation, Reach } from '../operation.ts'
import { NEVER_TRUSTED } from './trust.ts'

/** A proof of the connection counts so long: what was acknowledged longer ago is known. */
const PROOF_MS = 1000
/** While the shared store cannot be reached, what was known to be the latest is used for so long. */
const ALONE_MS = 10_000
/** As many cells are known to be the latest; about more the shared store is asked once each. */
const MAX_KNOWN = 100_000
/** As many changes are remembered for the loads under way. */
const MAX_CHANGES = 50_000

/** A cell of the private side that this process wrote, stored or had confirmed. Times: `performance.now()`. */
interface Known {
  readonly token: string
  /** When it was the latest, for sure. */
  at: number
  /** Since when something may have happened that this process was not told; 0: it is told everything. */
  doubtSince: number
  /** It was told of a change. */
  changed: boolean
}

export interface FollowerParts {
  /** The side that only this machine, or this process, has. */
  readonly own: GuardedSide
  /** The side that all machines share. */
  readonly shared: GuardedSide
  readonly debts: Debts
  readonly recorder: Recorder
  readonly notify: Notify
  /** Whom a write reaches that only this machine knows of. */
  readonly near: Reach
}

/**
 * A side that only this machine has follows the one that all share: a cell is used without asking only while
 * this process would have been told of any change since it was known to be the latest. Otherwise the shared
 * store is asked once: if it has nothing, for less than half a tombstone's life, or a tombstone that names this
 * very cell, the cell is the latest. `test/model/private-sides.ts` tells what each step is for.
 */
export class Follower {
  /** Of the side that follows. */
  readonly side: Side
  readonly #parts: FollowerParts
  #following: Following = NOBODY
  /** No other machine has written to the shared store, and none can without being noticed. */
  #alone = true
  /** Others are known, and the ledger too knows of them. */
  #noted = false
  /** This process was alone for sure at this time. */
  #aloneAt = Number.NEGATIVE_INFINITY
  readonly #known = new Map<string, Known>()
  /** The number of the last change of each name, the oldest first. */
  readonly #changes = new Map<string, number>()
  /** The number of the last change: names this moment, for {@link changedSince}. */
  now = 0
  /** For loads that began before this, any name may have changed. */
  #unknownUntil = 0
  readonly #questions = new Map<
    string,
    { readonly from: number; readonly askedAt: number; readonly answer: Promise<Answer> }
  >()
  /** Why the store does not tell; `''`: it does, or may yet. */
  #refused = ''
  #outSince = 0
  /** The shared store has begun another era while this process ran. */
  #lost = false
  readonly #timer: NodeJS.Timeout

  constructor(parts: FollowerParts) {
    this.#parts = parts
    this.side = parts.own.side
    this.#timer = setInterval(() => this.#watch(), PROOF_MS).unref()
    // Nobody sees what another process has in its memory.
    const { ledger } = parts.own.backend
    this.#noted = ledger === undefined || ledger.others === true
    if (this.#noted) this.#meetOthers()
  }

  /** Whether other machines may use the shared store. */
  get others(): boolean {
    return !this.#alone
  }

  /** Whether it is known that they do. */
  get noted(): boolean {
    return this.#noted
  }

  /** The shared store has reported who uses it. */
  heard({ others, asked, changed }: Heard): void {
    if (changed) this.#lost = true
    if (this.#noted) return
    if (others === undefined) {
      if (this.#alone) this.#aloneAt = asked?.at ?? this.#aloneAt
      return
    }
    if (this.#alone) this.#meetOthers()
    if (others === 'perhaps') return
    this.#noted = true
    const { notify, own, shared } = this.#parts
    own.backend.ledger?.meetOthers?.()
    const detail = `other machines use ${shared.backend.name} too, under the same prefix: from now on ${own.backend.name} follows what they write there. If they are another application, give each its own prefix`
    notify({ type: 'others-met', side: own.side, backend: own.backend.name, detail })
  }

  /** Whether the key may have changed since that moment. */
  changedSince(key: string, moment: number): boolean {
    if (this.#alone) return false
    return moment < this.#unknownUntil || (this.#changes.get(storageKey(key)) ?? 0) > moment
  }

  /** Whom a write reaches that the shared store has taken. */
  get reach(): Reach {
    if (this.#alone) return 'all'
    return this.#refused === '' ? 'later' : this.#parts.near
  }

  /** Whether the private side's cell may be used without asking. */
  knows(key: string, { token }: Pick<Cell, 'token'>): boolean {
    const known = this.#known.get(storageKey(key))
    if (known !== undefined && known.doubtSince === 0 && known.token === token && this.#isLive) {
      return true
    }
    return this.#alone || this.#refused !== ''
  }

  /** This process has put the cell there, as the latest that was known at that time. */
  put(key: string, token: string, at: number): void {
    if (this.#alone) return
    this.#remember(storageKey(key), { token, at, doubtSince: 0, changed: false })
  }

  /**
   * After a fill: the cell counts only if nothing happened since its load began. Whether it may be used without
   * asking, also by those who waited for the load: the store has taken it, but what others wrote is not there.
   */
  filled(op: PinnedOperation, token: string): boolean {
    if (token === '') return false
    if (!this.changedSince(op.key, op.heardUntil)) this.put(op.key, token, op.missedAt)
    return this.knows(op.key, { token })
  }

  /**
   * Whether the private side's cell is the latest, as far as the shared store having nothing can tell.
   */
  mayMove(key: string, cell: Cell): boolean {
    if (this.#alone) return true
    if (this.knows(key, cell)) return this.#refused === '' || this.#isYoung(this.#ageSince(cell))
    return this.#isAdopted(cell) || this.#isYoung(this.#doubtSince(storageKey(key), cell))
  }

  /**
   * The private side has a value that is in doubt. True: `op.cell` is alive, be it that of the shared side. False:
   * a miss, whose token is known.
   */
  async confirm(op: PinnedOperation): Promise<boolean> {
    const { own, shared, debts, recorder } = this.#parts
    const { key, cell } = op
    const asked = debts.trustedFrom(shared.side, key)
    const { changes } = debts
    let answer: Answer
    const failed = op.active === shared && (op.outcome === 'failed' || op.outcome === 'timed_out')
    if (!shared.usable || failed) answer = 'out'
    else if (asked === NEVER_TRUSTED) answer = undefined
    else answer = await this.#ask(key, cell)
    if (answer === 'out') {
      if (this.#isUsedAlone(storageKey(key), cell)) return true
    } else if (answer === 'latest') {
      recorder.event(own.side, 'confirmed')
      return true
    } else if (answer !== undefined) {
      const since = debts.trustedSince(shared.side, key, asked, changes)
      if (answer.state === 'value' && answer.writtenAt >= since) {
        op.cell = answer
        if (op.outcome === 'hit') op.outcome = 'miss'
        op.servedBy = shared.side
        return true
      }
    }
    recorder.event(own.side, 'superseded')
    op.cell = { ...cell, state: 'expired', payload: '' }
    if (op.outcome === 'hit') op.outcome = 'miss'
    op.servedBy = 'none'
    return false
  }

  /** `undefined`: there is nobody to follow. */
  health(): FollowerHealth | undefined {
    if (this.#alone) return undefined
    const { shared } = this.#parts
    const lag = performance.now() - this.#following.provenAt
    const lagMs = Number.isFinite(lag) ? Math.round(lag) : -1
    const live = this.#isLive
    let detail = ''
    if (this.#refused !== '') detail = refusedText(shared.backend.name, this.#refused)
    else if (!live) {
      detail = `${shared.backend.name} does not tell what other machines write: it is asked for each key, and while it is out nothing older than ${ALONE_MS / 1000} s is used`
    }
    return {
      ok: live || this.#refused !== '',
      backend: shared.backend.name,
      live,
      outSince: live ? 0 : this.#outSince,
      lagMs,
      detail,
    }
  }

  close(): void {
    clearInterval(this.#timer)
    this.#following.close()
  }

  get #isLive(): boolean {
    const { follows, provenAt } = this.#following
    return follows && performance.now() - provenAt < PROOF_MS
  }

  /** Concurrent callers share a question, unless something happened since it was sent, or may have. */
  async #ask(key: string, cell: Cell): Promise<Answer> {
    const name = storageKey(key)
    const id = `${cell.token}${name}`
    const open = this.#questions.get(id)
    const now = performance.now()
    if (open !== undefined && now - open.askedAt < PROOF_MS && !this.changedSince(key, open.from))
      return open.answer
    const question = { from: this.now, askedAt: now, answer: this.#askOnce(key, name, cell) }
    this.#questions.set(id, question)
    void question.answer.finally(() => {
      if (this.#questions.get(id) === question) this.#questions.delete(id)
    })
    return question.answer
  }

  async #askOnce(key: string, name: string, cell: Cell): Promise<Answer> {
    const { shared } = this.#parts
    const from = this.now
    const askedAt = performance.now()
    const since = this.#doubtSince(name, cell)
    let found: Cell | undefined
    try {
      found = await shared.hold(this.#following.ask(key))
    } catch {
      return 'out'
    }
    if (found === undefined) return undefined
    const named = isNamed(found, cell)
    const known = this.#known.get(name)
    // A program without the switch leaves no tombstone where it deletes.
    const deleted =
      shared.backend.outsiders === true && known?.token === cell.token && known.changed
    const nothing = found.state === 'absent' && found.token === '' && !deleted
    const latest = named || (nothing && (this.#isAdopted(cell) || this.#isYoung(since)))
    if (!latest) return found
    if (this.#isLive && !this.changedSince(key, from)) this.put(key, cell.token, askedAt)
    return 'latest'
  }

  /** Nothing in the shared store means that nothing happened since then: a tombstone would still be there. */
  #isYoung(since: number): boolean {
    const { own, shared } = this.#parts
    const life = Math.min(own.backend.tombstoneTtl, shared.backend.tombstoneTtl)
    return since > performance.now() - life / 2 && since > this.#following.eraBeganAt
  }

  /**
   * Somebody else's value is as old as it may be without the switch, as long as the shared store has not lost what
   * it knew of newer ones.
   */
  #isAdopted({ expiresAt }: Cell): boolean {
    return expiresAt === EXPIRY_UNKNOWN && !this.#lost
  }

  #doubtSince(name: string, cell: Cell): number {
    const known = this.#known.get(name)
    if (known?.token !== cell.token) return this.#ageSince(cell)
    if (known.doubtSince !== 0) return known.doubtSince
    return Math.max(this.#following.provenAt, known.at)
  }

  /** When the cell was written, by the clock here, or was the latest because nobody else was there. */
  #ageSince({ writtenAt }: Cell): number {
    const age = this.#parts.own.backend.now() - writtenAt
    return Math.max(performance.now() - age, this.#aloneAt)
  }

  #meetOthers(): void {
    this.#alone = false
    this.now += 1
    this.#unknownUntil = this.now
    const { backend } = this.#parts.shared
    if (backend.follow === undefined)
      return this.#isRefused('only a Redis that is not a Cluster can')
    this.#following = backend.follow({
      changed: (name) => this.#changed(name),
      began: () => this.#began(),
      refused: (reason) => this.#isRefused(reason),
    })
  }

  /** The shared store is out: what was known to be the latest a moment ago is used. */
  #isUsedAlone(name: string, cell: Cell): boolean {
    const known = this.#known.get(name)
    let at = this.#ageSince(cell)
    if (known?.token === cell.token) {
      if (known.changed) return false
      at = known.doubtSince === 0 ? Math.max(known.at, this.#following.provenAt) : known.at
    }
    return performance.now() - at < ALONE_MS
  }

  #remember(name: string, known: Known): void {
    this.#known.delete(name)
    this.#known.set(name, known)
    if (this.#known.size <= MAX_KNOWN) return
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest)
      break
    }
  }

  #changed(name: string): void {
    this.now += 1
    this.#changes.delete(name)
    this.#changes.set(name, this.now)
    if (this.#changes.size > MAX_CHANGES) {
      for (const [oldest, number] of this.#changes) {
        this.#changes.delete(oldest)
        this.#unknownUntil = number
        break
      }
    }
    const known = this.#known.get(name)
    if (known === undefined) return
    // It happened after the last proof: this process may have stood still since.
    if (known.doubtSince === 0) known.doubtSince = Math.max(this.#following.provenAt, known.at)
    known.changed = true
  }

  /** Nobody was told of what happened since the last proof. */
  #began(): void {
    const { provenAt } = this.#following
    this.now += 1
    this.#unknownUntil = this.now
    this.#refused = ''
    for (const known of this.#known.values()) {
      if (known.doubtSince !== 0) continue
      known.at = Math.max(known.at, provenAt)
      known.doubtSince = known.at
    }
  }

  #isRefused(reason: string): void {
    this.#refused = reason
    const { notify, shared } = this.#parts
    notify({ type: 'promises-less', detail: refusedText(shared.backend.name, reason) })
  }

  #watch(): void {
    const { notify, own, shared } = this.#parts
    if (this.#alone) return
    const live = this.#isLive
    if (live === (this.#outSince === 0) || this.#refused !== '') return
    const { side } = own
    const { name } = shared.backend
    if (live) {
      const detail = `${name} tells again what other machines write, after ${Date.now() - this.#outSince} ms`
      this.#outSince = 0
      notify({ type: 'follower-back', side, backend: own.backend.name, detail })
    } else {
      this.#outSince = Date.now()
      const { detail } = this.health()!
      notify({ type: 'follower-out', side, backend: own.backend.name, detail })
    }
  }
}

const NOBODY: Following = {
  follows: false,
  provenAt: Number.NEGATIVE_INFINITY,
  eraBeganAt: Number.NEGATIVE_INFINITY,
  ask: () => Promise.resolve(undefined),
  close: () => undefined,
}

/** `out`: the store did not answer; `undefined`: it cannot say; else what it has instead. */
type Answer = 'latest' | 'out' | Cell | undefined

function refusedText(store: string, reason: string): string {
  return `${store} refuses to tell what other machines write (CLIENT TRACKING: ${reason}): users of the old side do not see it before their copy expires. Keep its TTL short`
}
