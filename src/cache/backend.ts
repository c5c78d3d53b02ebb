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
   * and lands later cannot win. Stores that apply writes before returning may ignore it.
   */
  readonly within: number
}

export interface WriteResult {
  /** False: the cell's token was not the expected one, or the write came too late. Nothing changed. */
  readonly written: boolean
  /** The token of the new cell; `''` when not written. */
  readonly token: string
}

export interface InvalidateOptions {
  /** As {@link WriteOptions.within}; a late tombstone without `successor` is harmless. */
  readonly within: number
  /** See {@link Cell.successor}. @default '' */
  readonly successor?: string
  /**
   * Refuse (result `done: false`) while the store's own clock is before this time in epoch
   * milliseconds: an unanswered write may still land until then. @default 0
   */
  readonly notBefore?: number
}

export interface InvalidateResult {
  readonly done: boolean
  /** True when a live value was there before. */
  readonly existed: boolean
  /** Token of the tombstone left behind; `''` when not done. */
  readonly token: string
}

/**
 * One side of the switch. Much smaller than a cache: cells with an absolute expiry, conditional
 * writes, and nothing about flags, loaders or fallbacks. Keys are any string up to 64 KiB of UTF-8;
 * payloads are any string.
 *
 * Promised by every backend and proven by `switchback/testing`:
 * - an operation that was acknowledged is seen by every later `read`;
 * - `write` with a token and `invalidate` are atomic with respect to one another;
 * - a tombstone, and the token of an expired value, outlive the operation that left them by
 *   `tombstoneTtl`;
 * - failures are thrown (or reject), never swallowed: the switch decides what a failure means.
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
  /** Invalidates every key of this backend's namespace, in bounded batches. */
  clear(options?: { readonly signal?: AbortSignal }): Promise<void>
  /** The clock that stamps this store's cells, in epoch milliseconds. */
  now(): number
  /** The cheapest round trip that proves the store can serve. Rejects when it cannot. */
  ping(): MaybePromise<void>
  /**
   * Tells when the store may have lost invalidations that it had acknowledged (restarted, failed over
   * to a node that lags, restored from a snapshot). Cells written before `before` (store clock) must
   * then not be trusted. What a listener returns is awaited before any cell of the store that came
   * back is handed out. Returns the way to stop listening.
   *
   * @param known lets it tell that too of what happened while no process was there to see it
   */
  onReset?(listener: (before: number) => MaybePromise<void>, known?: KnownServers): () => void
  /**
   * Another process of the machine has met a store that it distrusts. Nothing may be served or taken
   * before it is clear that this one is connected to the same.
   */
  recheck?(): void
  /** Present on a store that can keep the machine's ledger of owed invalidations. */
  readonly ledger?: Ledger
  close(): Promise<void>
}

/** The servers that a store consisted of when it was last used, kept beyond the end of the process. */
export interface KnownServers {
  /** What each address said of its identity; empty when nothing is known. */
  recall(): ReadonlyMap<string, string>
  /** Takes the place of all that was known. */
  remember(servers: ReadonlyMap<string, string>): MaybePromise<void>
}

/** An invalidation that a side did not acknowledge. */
export interface Owed {
  readonly side: Side
  readonly key: string
  /** Changes each time the same key is owed again; {@link Ledger.settle} compares it. */
  readonly generation: string
  /** See {@link InvalidateOptions.notBefore}. The latest one asked for. */
  readonly notBefore: number
}

/**
 * The invalidations that could not be delivered ("owed"), shared by every process of the machine and
 * durable across `kill -9`. An operation consults it before it trusts a side. What is acknowledged
 * here before the caller is answered is honoured by all processes at once.
 */
export interface Ledger {
  /** Whether this side's copy of the key must not be trusted. */
  owes(side: Side, key: string): boolean
  /** @param within milliseconds to wait while others keep the ledger locked; then it rejects */
  owe(side: Side, key: string, notBefore: number, within?: number): MaybePromise<void>
  /** The oldest owed invalidations of a side, at most `limit`. */
  list(side: Side, limit: number): readonly Owed[]
  /** Forgets one owed invalidation, unless it was owed again since (false). */
  settle(owed: Owed): MaybePromise<boolean>
  count(side: Side): number
  /**
   * Distrusts every cell of the side written before `before` (store clock): they count as misses that
   * keep their token. What is owed stays owed: a store whose clock was set back may hold cells from
   * after the fence that were to be deleted.
   */
  fence(side: Side, before: number): MaybePromise<void>
  /** Forgets all that is owed on the side by now. Only after a fence that covers it. */
  writeOff(side: Side): MaybePromise<void>
  /** Cells written before this (store clock) are not trusted. 0 when nothing is fenced. */
  fencedBefore(side: Side): number
  /**
   * Both questions in one look, on the hot path: cells of this key written before this are not to be
   * trusted; `Infinity` while the side owes the key.
   */
  trustedFrom(side: Side, key: string): number
  /** @default nothing is known of a store's servers when a process begins */
  knownServers?(side: Side): KnownServers
}
