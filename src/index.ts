/**
 * Switchback: put a new backend behind a flag, and always be able to take it back.
 *
 * @packageDocumentation
 */
export {
  type CacheBackend,
  type CacheService,
  type Cell,
  type Entry,
  type GetOrSetOptions,
  type Ledger,
  type Loader,
  type SetOptions,
  type Ttl,
} from './cache/index.ts'
export { isSwitchbackError, SwitchbackError } from './errors.ts'
export type { Side } from './side.ts'
export {
  type BreakerOptions,
  type CacheHealth,
  type CacheSwitch,
  type CacheSwitchOptions,
  type CacheView,
  type Codec,
  createCacheSwitch,
  jsonCodec,
  MemoryLedger,
  type OnOperation,
  type OperationInfo,
  type SideHealth,
  type StandbyPolicy,
  type SwitchEvent,
  type ViewHooks,
} from './switch/index.ts'
