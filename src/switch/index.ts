/**
 * The switch: sends each operation to the side that the flag picked, holds it to a deadline, falls
 * back when that side fails, and keeps both sides telling the same truth.
 */
export { createCacheSwitch, pairOf } from './create-cache-switch.ts'
export type { CacheSwitch, CacheView, ViewHooks } from './cache-switch.ts'
export type { CopyOptions, CopyReport } from './copy/copy.ts'
export type { Copied } from './copy/copy-key.ts'
export { Breaker, type BreakerOptions } from './sides/breaker.ts'
export { checkBreaker } from './sides/check-breaker.ts'
export { Deadlines, LONGEST_TIMER_MS, type OutcomeListener } from './sides/deadlines.ts'
export { isTimeout } from './sides/guarded-side.ts'
export { type Codec, jsonCodec } from './values.ts'
export type {
  CacheChange,
  EventText,
  FlagsChange,
  SideChange,
  StoreWarning,
  SwitchEvent,
} from './events.ts'
export { eventOf, logEvent, type Notify } from './events.ts'
export { standbySource } from './sides/standby-policy.ts'
export { closedError, UnderWay } from './background/under-way.ts'
export type { CacheHealth, FollowerHealth, SideHealth } from './sides/health.ts'
export { MemoryLedger } from './truth/memory-ledger.ts'
export type { OnOperation, OperationInfo, OperationTrace, Reach } from './operation.ts'
export { type CacheSwitchOptions, STANDBY_POLICIES, type StandbyPolicy } from './options.ts'
