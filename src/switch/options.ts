import type { CacheBackend, Ttl } from '../cache/index.ts'
import type { Decider, FlagsSource } from '../flags/index.ts'
import type { Side } from '../side.ts'
import type { Recorder } from '../telemetry/index.ts'
import type { BreakerOptions } from './sides/breaker.ts'
import type { Codec } from './values.ts'
import type { SwitchEvent } from './events.ts'

/**
 * What happens to the side that the flag did not pick:
 * - `invalidate`: its copy is marked as superseded (the default, the cheapest that is safe);
 * - `mirror`: it is kept written too, so that a flip finds it warm;
 * - `compare`: `mirror`, and a sample of reads runs on both sides.
 */
export type StandbyPolicy = 'invalidate' | 'mirror' | 'compare'

export const STANDBY_POLICIES: readonly StandbyPolicy[] = ['invalidate', 'mirror', 'compare']

export interface CacheSwitchOptions {
  /** Key of the boolean flag that picks the side for each user; false is `off`, true is `on`. */
  readonly flag?: string
  /**
   * Where the flag comes from.
   * @default what `flagsFromEnvironment` set up last; OpenFeature's default provider without it
   */
  readonly flags?: FlagsSource
  /** Asks its flag, instead of {@link flag}: to share one between caches, or to choose its options. */
  readonly decider?: Decider
  /** The old implementation. */
  readonly off: CacheBackend
  /** The new one. */
  readonly on: CacheBackend
  /**
   * The cache's name. Targeting rules see it as the attribute `feature`, so that one cache can go
   * first. @default 'cache'
   */
  readonly name?: string
  /**
   * A policy, or the key of a string flag whose variants are policies, read without a user.
   * @default 'invalidate'
   */
  readonly standby?: StandbyPolicy | { readonly flag: string }
  /**
   * A side on its way out, after a migration: the flag is not asked and this side is no longer
   * read, but every write still invalidates it, so that processes which do read it (a rolling
   * deploy) see nothing older. Once all processes have it, replace the switch by the plain cache.
   * @default none
   */
  readonly retire?: Side
  /** For values stored without a `ttl`. @default they do not expire */
  readonly defaultTtl?: Ttl
  /**
   * The share of its ttl, from 0 to 1, by which each lifetime is shortened at random at most, so that what was
   * stored together does not expire together. @default 0
   */
  readonly ttlJitter?: number
  /** @default JSON */
  readonly codec?: Codec
  /** Size limit of one encoded value in bytes. @default 1 MiB */
  readonly maxValueBytes?: number
  /** Milliseconds after which a side that did not answer has failed. @default 100 */
  readonly deadlineMs?: number | Readonly<Partial<Record<Side, number>>>
  readonly breaker?: BreakerOptions
  /** How many loads may run at once in this process; the others wait. @default 64 */
  readonly originConcurrency?: number
  /** How many loads may wait for their turn; more reject with `SB_LOADS_BUSY`. @default 10_000 */
  readonly originQueue?: number
  /** Milliseconds after which a load that has not ended gives its turn to the next. @default 30_000 */
  readonly loadMs?: number
  /**
   * More pending invalidations than this on one side, and everything on it is distrusted. @default
   * 10_000
   */
  readonly maxOwed?: number
  /** Share of hits that `compare` reads on both sides, 0 to 1. @default 0.01 */
  readonly compareShare?: number
  /** Background legs (mirror, compare) that may be under way; more are dropped. @default 64 */
  readonly maxBackground?: number
  /** Counts what each side does. @default nothing is counted */
  readonly telemetry?: Recorder
  /**
   * Called on changes of state, for the log: the sides, the cache, warnings of its backends, and its flag
   * (a `flags` source has an `onEvent` of its own). What it throws is reported once and harms
   * nothing. @default console.warn, a line each
   */
  readonly onEvent?: (event: SwitchEvent) => void
}
