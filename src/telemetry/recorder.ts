import type { Side } from '../side.ts'
import type { CallRecorder } from './counts/call-counts.ts'
import type { LabelledValue } from './gauges/gauges.ts'

/** The operation that business code called. */
export type Operation = 'get' | 'set' | 'getOrSet' | 'has' | 'delete' | 'clear'

/**
 * How an operation on the active side ended:
 * - `hit`, `miss`: reads; `stored`, `deleted`: writes;
 * - `failed`: the side threw; `timed_out`: it did not answer within its deadline;
 * - `stale`: the loader failed or took too long, and an expired value was served (`grace`);
 * - `fell_back`: the breaker was open or an invalidation of the key is pending, and the other side
 *   or the origin served.
 */
export type Outcome =
  | 'hit'
  | 'miss'
  | 'stored'
  | 'deleted'
  | 'stale'
  | 'failed'
  | 'timed_out'
  | 'fell_back'

/** Events beside an operation; each is one counter. */
export type SideEvent =
  | 'backfill' // a value moved over from the standby on a miss
  | 'fill' // a value loaded from the origin was stored
  | 'fill_refused' // somebody wrote or deleted meanwhile, or the loader was too slow
  | 'confirmed' // the other side, asked, knew nothing newer than the value here
  | 'superseded' // it did, or could not say: the value here is not used
  | 'repeat_miss' // a miss on a key that this process itself stored here less than 0.8 TTL ago
  | 'owed' // an invalidation could not be delivered and was remembered
  | 'repaid' // an owed invalidation was delivered
  | 'reach_later' // a write whose news users of other machines' own sides get within a second
  | 'reach_machine' // a write that other machines do not know of yet
  | 'reach_process' // a write that no other process knows of yet
  | 'waited' // a write waited until no process used the side any more without knowing of it
  | 'fenced' // everything older was distrusted at once
  | 'mirrored' // the standby was written too
  | 'mirror_refused' // the standby had been written or deleted meanwhile
  | 'breaker_opened'
  | 'breaker_closed'
  | 'shed' // a background leg was dropped because too many were under way

export type Comparison = 'same' | 'mismatch' | 'cold' | 'ttl_drift' | 'race' | 'failed' | 'shed'

/**
 * Counts what each side does. The switch calls it on the hot path: implementations allocate nothing
 * and take well under a microsecond. Raw keys and user ids never reach a label.
 */
export interface Recorder {
  /**
   * One operation of business code, once, when it ends.
   * @param durationMs time on the caches, without the loader
   * @param bucket the user, from {@link Recorder.bucketOf}
   * @param elsewhere the other side served: it answered the read, even if only that it holds nothing, or
   * it took the write. Needed when the outcome is bad. @default false
   */
  operation(
    side: Side,
    operation: Operation,
    outcome: Outcome,
    durationMs: number,
    bucket: number,
    elsewhere?: boolean,
  ): void
  /**
   * A salted hash of the targeting key, independent of the rollout's own hash: a small integer to
   * pass back unchanged. Its lowest five bits are the user's bucket (0 to 31).
   */
  bucketOf(targetingKey: string | undefined): number
  decision(side: Side, variant: string, reason: string, source: string): void
  /**
   * @param bucket the user, from {@link Recorder.bucketOf}; needed for `repeat_miss`, else unused
   */
  event(side: Side, event: SideEvent, bucket?: number): void
  originLoad(side: Side, durationMs: number, ok: boolean): void
  bytes(side: Side, direction: 'read' | 'written', count: number): void
  comparison(result: Comparison): void
  /** The counters of a method of `createSwitch`, where the recorder has any. */
  calls?(name: string, method: string): CallRecorder
  /** Creates the memory of one cache for `repeat_miss`, where the recorder counts those. */
  losses?(): Losses
  /**
   * Adds a value that is read on demand, where the recorder has an output for it.
   * @returns a function that removes it
   */
  gauge?(
    name: string,
    help: string,
    labels: Readonly<Record<string, string>>,
    read: () => number,
  ): () => void
  /**
   * The same for values whose labels change, such as a reason: all of them are read on demand.
   * @returns a function that removes them
   */
  gauges?(name: string, help: string, read: () => readonly LabelledValue[]): () => void
}

/** What one cache stored on its sides, to notice that a side lost it. */
export interface Losses {
  /** The side has nothing under the key, not even a tombstone. */
  missed(side: Side, key: string, bucket: number): void
  stored(side: Side, key: string, ttlMs: number): void
  /** Deleted, or stored with an unknown result. */
  dropped(key: string): void
}
