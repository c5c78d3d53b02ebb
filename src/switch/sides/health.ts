import { type CacheBackend, parseTtl, type Ttl } from '../../cache/index.ts'
import type { FlagHealth } from '../../flags/index.ts'

export interface SideHealth {
  readonly ok: boolean
  readonly backend: string
  /** Epoch milliseconds since when the side is out; 0 while it is in. */
  readonly outSince: number
  /** Invalidations that this side has not received yet; its users' copies of those keys are not used. */
  readonly owed: number
  /**
   * How often since the start the side could not take a key because another program's data is under it
   * (`SB_REDIS_FOREIGN`).
   */
  readonly foreign: number
  /** One line for people; `''` when ok. */
  readonly detail: string
}

/** How a side that other machines do not see hears of what they write. */
export interface FollowerHealth {
  /** Also where the store refuses to be followed: `detail` says so. */
  readonly ok: boolean
  /** Of the shared side. */
  readonly backend: string
  /** Changes in the shared store are told to this process, and were within the last second for sure. */
  readonly live: boolean
  /** Epoch milliseconds since when they are not; 0 while they are. */
  readonly outSince: number
  /** Milliseconds since when something may have happened that it was not told; -1: always. */
  readonly lagMs: number
  /** One line for people; `''` when live. */
  readonly detail: string
}

export interface CacheHealth {
  /** True when nothing is degraded. Requests are served either way. */
  readonly ok: boolean
  readonly off: SideHealth
  readonly on: SideHealth
  readonly flags: FlagHealth
  /** Only where one side is this machine's, or this process's, own. */
  readonly follower?: FollowerHealth
}

/** Clocks that are kept synchronous are never so far apart. */
const MAX_SKEW_MS = 60_000

/**
 * What a store's clock does to the values that this process writes there, whose end is a date by the clock here. With
 * one that is ahead by their whole lifetime nothing is cached, and every read loads. `''`: nothing that counts.
 */
export function whySkewed(backend: CacheBackend, defaultTtl: Ttl | undefined): string {
  const skew = backend.skew?.() ?? 0
  const most =
    defaultTtl === undefined ? MAX_SKEW_MS : Math.min(MAX_SKEW_MS, parseTtl(defaultTtl) / 2)
  if (Math.abs(skew) <= most) return ''
  const seconds = Math.round(Math.abs(skew) / 1000)
  const [direction, when] = skew > 0 ? ['ahead of', 'early'] : ['behind', 'late']
  return `its clock is ${seconds} s ${direction} that of this machine: values end as much too ${when}. Synchronise the clocks (NTP)`
}
