import type { FlagHealth } from '../flags/index.ts'

export interface SideHealth {
  readonly ok: boolean
  readonly backend: string
  /** Epoch milliseconds since when the side is out; 0 while it is in. */
  readonly outSince: number
  /** Invalidations that this side has not received yet; its users' copies of those keys are not used. */
  readonly owed: number
  /** One line for people; `''` when ok. */
  readonly detail: string
}

export interface CacheHealth {
  /** True when nothing is degraded. Requests are served either way. */
  readonly ok: boolean
  readonly off: SideHealth
  readonly on: SideHealth
  readonly flags: FlagHealth
}
