import type { SwitchbackError } from '../errors.ts'
import type { Side } from '../side.ts'
import type { Cell } from './cell.ts'

export type MaybePromise<T> = T | Promise<T>

/** A value on its way into a backend. */
export interface Entry {
  /** The encoded value. */
  readonly payload: string
  /** Absolute expiry in epoch milliseconds, or `NEVER`. A value that moves between sides keeps it. */
  readonly expiresAt: number
}

/** Passed as `expect` to write whatever the cell holds. */
export const ANY = '*'

export interface WriteOptions {
  /** Token that the cell must still have (`''`: must hold nothing), or {@link ANY}. */
  readonly expect: string
  /**
   * Milliseconds from now after which the store must refuse the write, so that a write that timed out
   * and lands later cannot win. Stores that apply every write before returning may ignore it.
   */
  readonly within: number
  /** The {@link Cell.era} with which the expected token was seen. @default the present one */
  readonly era?: string
  /**
   * Asked by a store in which a conditional write waits for its turn, once the time of the new cell is taken:
   * false refuses it. What it throws fails the write. @default it may be made
   */
  readonly stands?: () => boolean
}

export interface WriteResult {
  /** False: the cell's token was not the expected one, or the write came too late. Nothing changed. */
  readonly written: boolean
  /** The token of the new cell; `''` when not written. */
  readonly token: string
  /** The store keeps another program's data under the key, and has left it as it was. */
  readonly foreign?: boolean
}

export interface InvalidateOptions {
  /** As {@link WriteOptions.within}; a late tombstone without `successor` is harmless. */
  readonly within: number
  /** See {@link Cell.successor}. @default '' */
  readonly successor?: string
  /**
   * Refuse (result `done: false`) while the store's own clock is before this time in epoch
   * milliseconds: an unanswered write may still land until then. Given: this is a repayment, which must
   * not take away what was written since then, unless by a tombstone. @default 0
   */
  readonly notBefore?: number
}

export interface InvalidateResult {
  readonly done: boolean
  /** True when a live value was there before. */
  readonly existed: boolean
  /** Token of the tombstone left behind; `''` when not done. */
  readonly token: string
  /**
   * As {@link WriteResult.foreign}: no value of the cache is there. `done`: the store has noted beside it that what
   * was missed before must not be stored, in place of a tombstone, which cannot be there.
   */
  readonly foreign?: boolean
}

/**
 * One side of the switch, much smaller than a cache: cells with an absolute expiry and conditional
 * writes. Keys are any string up to 64 KiB of UTF-8, payloads any string. An acknowledged operation
 * is seen by every later `read`; `write` with a token and `invalidate` are atomic with respect to
 * each other; a tombstone, and the token of an expired value, live for `tombstoneTtl`; failures are
 * thrown, never swallowed. `openfeature-switchback/testing` proves it.
 */
export interface CacheBackend {
  /** Names the store in logs, metrics and health, e.g. `file`, `redis`. Never a raw address. */
  readonly name: string
  /** How long a tombstone lives, in milliseconds. A fill slower than half of it is not stored. */
  readonly tombstoneTtl: number
  /** Synchronous stores return the cell itself: a hit then costs no promise. */
  read(key: string): MaybePromise<Cell>
  write(key: string, entry: Entry, options: WriteOptions): MaybePromise<WriteResult>
  invalidate(key: string, options: InvalidateOptions): MaybePromise<InvalidateResult>
  /**
   * Before a value that somebody else wrote (`EXPIRY_UNKNOWN`) moves to the other side: when it ends. From now on the
   * store knows that it was there, so that its deletion by somebody else is seen. `undefined`: it cannot be told, or
   * the cell has another token by now. @default nobody else writes
   */
  claim?(key: string, cell: Cell): MaybePromise<number | undefined>
  /** Programs without the switch write and delete here too. @default false */
  readonly outsiders?: boolean
  /** Invalidates every key of this backend's namespace, in bounded batches. */
  clear(options?: { readonly signal?: AbortSignal }): Promise<void>
  /** The clock that stamps this store's cells, in epoch milliseconds. */
  now(): number
  /**
   * Milliseconds by which that clock is ahead of this process's wall clock, as far as is known. A value's end is a date
   * by the wall clock of who wrote it, so it comes that much too early there. @default 0
   */
  skew?(): number
  /** The cheapest round trip that proves the store can serve. Rejects when it cannot. */
  ping(): MaybePromise<void>
  /**
   * The store's era as this process last heard it; 0 before that, and where there are several. A cell of
   * another era counts as absent, and a write that is conditional on one is refused by the store itself.
   * @default the store has no eras: it loses nothing that it acknowledged
   */
  era?(): number
  /**
   * Reports the store's era: on each new connection, and periodically. What the listener returns is
   * awaited before any cell of that era is returned. Returns a function that removes the listener.
   */
  onEra?(listener: (heard: Heard) => MaybePromise<EraVerdict>): () => void
  /** Another process of the machine has heard another era: ask the store again, soon. */
  recheck?(): void
  /**
   * When the era of the server that has the key began, by its clock, where a store has several servers: what
   * was written before is gone. @default one server, whose era `onEra` reports
   */
  since?(key: string): number
  /** How often it has left a key alone because of another program's data. @default never */
  readonly foreign?: number
  /** Begins a new era, so that nothing in the store is trusted any more. */
  renew?(): Promise<void>
  /** Names the cells of this store where several caches share a server: its prefix. @default '' */
  readonly space?: string
  /**
   * Names where the cells are: two backends of this process with the same name certainly share them all, which is
   * refused for caches of different names. `''`: that is not known, or no fault. @default ''
   */
  readonly place?: string
  /**
   * Where the backend's warnings go, those of its creation included; the switch makes events of them.
   * Without a listener they go to stderr.
   */
  onWarning?(listener: (warning: SwitchbackError) => void): void
  /** Called by the switch, before the first use. */
  join?(membership: Membership): void
  /** Whether all machines meet the same data here. @default false */
  readonly shared?: boolean
  /** Present on a shared store that can keep what the other store of its pair owes. */
  readonly board?: Board
  /**
   * Begins to tell what anybody changes in a shared store, for a side beside it that other machines do not
   * see. @default the store cannot
   */
  follow?(listener: ChangeListener): Following
  /** Present on a store that can keep the machine's ledger of pending invalidations. */
  readonly ledger?: Ledger
  /**
   * The names (see `storageKey`) of what is there, in bounded pages. What is there from beginning to end is
   * found, some of it perhaps twice. @param after the {@link NamesPage.cursor} to go on from @default the store
   * cannot say
   */
  names?(after: string, signal?: AbortSignal): AsyncIterable<NamesPage>
  /**
   * Whether another program's data is under the key that `read` cannot tell from nothing: a hash, a stream.
   * @default never
   */
  hides?(key: string): MaybePromise<boolean>
  /** For who copies many. @default one after another */
  readonly many?: ManyCells
  close(): Promise<void>
}

/** What a backend does with one cell, for many with few commands. Each rejects as a whole, be it that a part was done. */
export interface ManyCells {
  read(keys: readonly string[]): Promise<readonly Cell[]>
  /** Conditional writes. `undefined`: this one failed. @param within as {@link WriteOptions.within} */
  write(writes: readonly ManyWrite[], within: number): Promise<readonly (WriteResult | undefined)[]>
  /** As {@link CacheBackend.claim}; `undefined` also: this one failed. */
  claim?(keys: readonly string[], cells: readonly Cell[]): Promise<readonly (number | undefined)[]>
}

export interface ManyWrite {
  readonly key: string
  readonly entry: Entry
  /** What the store must still have: its token and era. */
  readonly seen: Cell
}

export interface NamesPage {
  readonly names: readonly string[]
  /** Where to go on behind this page, in this era of the store; `''`: only from the beginning. */
  readonly cursor: string
}

/**
 * A fence that covers everything on a side, whatever its clock says: the ledger was lost. It holds
 * until the side's own clock has been asked (see {@link Ledger.replaceFence}).
 */
export const FENCE_UNKNOWN = 9_000_000_000_000_000

/** What a store reported when it was last asked. */
export interface Heard {
  /** Changes after every event in which the store may have lost what it had acknowledged. */
  readonly era: number
  /** Which server it was; 0 where there are several. */
  readonly server: number
  /** When the era began, and the present time, by the clock of the store. */
  readonly since: number
  readonly now: number
  /** The era began with this very question. */
  readonly begun: boolean
  /** The same connection had said the same before. */
  readonly again: boolean
  /** This process had heard another era of this server before. */
  readonly changed: boolean
  /**
   * Other machines use the store, each with a side of its own; `met`: that was news to the store; `perhaps`: this
   * one is new, and it is not yet known whether the one before it is gone. @default none
   */
  readonly others?: 'met' | 'known' | 'perhaps'
  /** What {@link Membership.stand} said before the question was sent. */
  readonly asked?: Stand | undefined
}

/** Where the machine stands with a store. */
export interface Stand {
  readonly era: number
  readonly fence: number
  /** When it said so, by `performance.now()`. */
  readonly at: number
}

/**
 * - `again`: the machine has moved on since the question was sent: ask once more;
 * - `renew`: begin another era first, and tell again;
 * - `leave`: this is not the server that the machine goes by any more: connect anew.
 */
export type EraVerdict = 'again' | 'renew' | 'leave' | undefined

/** What the switch tells a backend about its place. */
export interface Membership {
  /** Names the pair of stores. Pairs of different names share nothing in files, even in one directory. */
  readonly pair: string
  /** Names the file store of this machine, by which others know it; `''`: it has none. */
  readonly owner: () => string
  /** Whether other machines are known to use this store, with a side of their own beside it. @default false */
  readonly others?: () => boolean
  /** Asked before each question for an era. @default nobody knows */
  readonly stand?: () => Stand | undefined
  /** Each of the two stores keeps what the other one owes. @default false */
  readonly paired?: boolean
  /** Whether the application's codec can read a payload. @default whether it is JSON */
  readonly readable?: (payload: string) => boolean
}

/** Times of {@link Owed.notBefore} at which an invalidation may be delivered, by the store's clock. */
export interface Due {
  readonly now: number
  /** What is noted for later than this was noted before the clock was set back. */
  readonly latest: number
}

/** An invalidation that a side did not acknowledge. */
export interface Owed {
  readonly side: Side
  readonly key: string
  /** Changes each time the same key becomes pending again; {@link Ledger.settle} compares it. */
  readonly generation: string
  /** See {@link InvalidateOptions.notBefore}. The latest one asked for. */
  readonly notBefore: number
}

/**
 * The invalidations that could not be delivered, shared by every process of the machine and durable
 * across `kill -9`. An operation consults it before it trusts a side. What is acknowledged here
 * before the caller is answered is respected by all processes at once
 * (docs/adr/0001-ledger-and-fence.md).
 */
export interface Ledger {
  /** Names the files that keep it, uniquely. Throws when they cannot be read. @default none */
  readonly place?: string
  /** Whether other machines, with ledgers of their own, were ever met at a shared store. @default false */
  readonly others?: boolean
  meetOthers?(): void
  /** Whether this side's copy of the key must not be trusted. */
  owes(side: Side, key: string): boolean
  /** @param within milliseconds to wait while others keep the ledger locked; then it rejects */
  owe(side: Side, key: string, notBefore: number, within?: number): MaybePromise<void>
  /**
   * The oldest pending invalidations of a side, at most `limit`.
   * @param due leaves out those that may not be delivered yet: they must not hold up the others
   */
  list(side: Side, limit: number, due?: Due): readonly Owed[]
  /** Forgets one pending invalidation, unless it became pending again since (false). */
  settle(owed: Owed): MaybePromise<boolean>
  count(side: Side): number
  /**
   * Distrusts every cell of the side written before `before` (store clock): they count as misses
   * that keep their token. What is pending stays pending: a store whose clock was set back may have
   * cells from after the fence that were to be deleted.
   */
  fence(side: Side, before: number): MaybePromise<void>
  /** Sets another fence, which may be lower, unless the present one is no longer `from` (false). */
  replaceFence(side: Side, from: number, before: number): MaybePromise<boolean>
  /** The era of the side's store that this machine goes by; 0: none was heard. As of the last look. */
  era(side: Side): number
  /** The server that reported it. */
  server(side: Side): number
  /**
   * Goes over to another era, unless the machine is no longer in `from` (false). Its fence is raised in any
   * case: that tells the other processes.
   */
  adopt(side: Side, from: number, heard: Heard, before: number): MaybePromise<boolean>
  /**
   * Asked before a fence: what it returns forgets all that is owed on the side by now, after that fence. What
   * is noted or noted again between the two may be of an era that another process has begun behind the fence.
   */
  writeOff(side: Side): () => MaybePromise<void>
  /** Cells written before this (store clock) are not trusted. 0 when nothing is fenced. */
  fencedBefore(side: Side): number
  /**
   * Both questions in one look, on the hot path: cells of this key written before this are not to
   * be trusted; `Infinity` while an invalidation of the key is pending on the side.
   */
  trustedFrom(side: Side, key: string): number
}

/** Who hears what happens in a shared store. */
export interface ChangeListener {
  /** Something happened to the cell of this name: see `storageKey`. */
  changed(name: string): void
  /** From now on changes are told, and before {@link Following.follows}. What happened before may be unknown. */
  began(): void
  /** The store does not want to tell. It is asked again from time to time. */
  refused(reason: string): void
}

/** A process that hears what happens in a shared store. Times are by `performance.now()`. */
export interface Following {
  /** Whether changes arrive, for all that is known. */
  readonly follows: boolean
  /** All changes that were acknowledged before this have been told, if it began before. */
  readonly provenAt: number
  /** When the store's era began, or later: before that it may have had anything. */
  readonly eraBeganAt: number
  /** The cell in the store, in its present era; `undefined`: that has just become another one. */
  ask(key: string): Promise<Cell | undefined>
  close(): void
}

/** A licence lives this long at most, and about so long may the first write of an outage have to wait. */
export const LICENCE_MS = 1000

/**
 * A board is clear when nothing was noted for so long; and after as long a silence a store that is out is given
 * up, until it is back.
 */
export const CALM_MS = 5000

/** What is said to a store of itself: by the board in the other store of its pair, or in its absence. */
export interface Word {
  /**
   * - `c`: it owes nothing;
   * - `i`: it owes something, or did a moment ago;
   * - `o`: the other store is out; `s`: it has been for {@link CALM_MS}.
   */
  readonly says: 'c' | 'i' | 'o' | 's'
  /**
   * By the clock of the store that this is said to, as it was heard before the other one was asked, and
   * {@link LICENCE_MS} later: what was noted since then is in no licence.
   */
  readonly until: number
  /** The {@link BoardState.stamp} of the board, with `c` and `i`; else `''`. */
  readonly stamp: string
}

/** What a store says of its board. */
export interface BoardState {
  /**
   * Names the board, when it began first: another one when the store may have lost what was noted there. Not with
   * each era of the store, or two stores that owe each other would begin eras in turn.
   */
  readonly stamp: string
  /** By the store's clock. */
  readonly now: number
  /** Whether the other store owes anything, or did a moment ago, and how many invalidations. */
  readonly owing: boolean
  readonly owed: number
}

export interface BoardAnswer {
  readonly stamp: string
  readonly owes: boolean
}

export interface NotedOn {
  /** How long until all licences that were given before the other store owed anything have ended. */
  readonly leftMs: number
  /** Since when it owes anything, by the board's clock: another time means to wait from the beginning. */
  readonly since: number
}

export interface OwedOn {
  /** `undefined`: everything. */
  readonly key: string | undefined
  /** Its generation, and by the owing store's clock the time before which it must not be repaid: `g|time`. */
  readonly value: string
}

/**
 * What a shared store does for the other one of its pair, where no machine has a ledger for both: it keeps what
 * the other store owes. And for itself it keeps its licence: that its own cells may be used, since somebody has
 * just read on the board in the other store that it owes nothing. `test/model/two-stores.ts` explores it.
 */
export interface Board {
  /** All cells of this store may be used just now without asking. No round trip. */
  readonly licensed: boolean
  /** Says a word to this store and hears what it knows. Several times a second. */
  tick(word: Word | undefined): Promise<BoardState>
  /** Whether the other store owes the key. */
  ask(key: string): Promise<BoardAnswer>
  /**
   * This store's cell with the era that it is in at that moment, for who has no licence.
   * @param stamp of the board that was asked; `undefined` when another one vouched for this store last
   */
  read(key: string, stamp: string): Promise<Cell | undefined>
  /**
   * Notes what the other store owes; without anything, only that it owes.
   * @param stamp as last heard; `undefined` when this store has another board by now: nothing was noted
   * @param most with so many noted, everything counts as owed
   */
  note(owed: OwedOn | undefined, stamp: string, most: number): Promise<NotedOn | undefined>
  /** Some of what is noted. */
  list(limit: number): Promise<readonly OwedOn[]>
  /** Forgets it, unless it was noted again since (false). */
  settle(owed: OwedOn): Promise<boolean>
}
