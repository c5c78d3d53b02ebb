/**
 * Switchback: put a new backend behind a flag, and always be able to take it back.
 *
 * @packageDocumentation
 */
export {
  adaptCache,
  type AdaptCacheOptions,
  type CacheBackend,
  type CacheService,
  type Cell,
  type Entry,
  type FileCache,
  fileCache,
  type FileCacheOptions,
  type GetOrSetOptions,
  type EraVerdict,
  type Heard,
  type Membership,
  type Ledger,
  type Loader,
  memoryCache,
  type MemoryCacheOptions,
  redisCache,
  type RedisCacheOptions,
  type SetOptions,
  type Ttl,
} from './cache/index.ts'
export type { SwitchbackErrorCode } from './error-codes.ts'
export { isSwitchbackError, SwitchbackError } from './errors.ts'
export {
  createDecider,
  type Decider,
  type DeciderOptions,
  type Decision,
  type DecisionContext,
  type FlagChoice,
  type FlagConfiguration,
  type FlagDecider,
  type FlagHealth,
  FileProvider,
  type FileProviderOptions,
  flagsFromEnvironment,
  type FlagsSource,
  type FlagsSourceOptions,
  type LiveSplit,
  type LiveSplitOptions,
  runAs,
  setUpTransactionContext,
} from './flags/index.ts'
export type { Side } from './side.ts'
export {
  type BreakerOptions,
  type CacheChange,
  type CacheHealth,
  type CacheSwitch,
  type CacheSwitchOptions,
  type CacheView,
  type Codec,
  createCacheSwitch,
  type EventText,
  type FlagsChange,
  jsonCodec,
  MemoryLedger,
  type OnOperation,
  type OperationTrace,
  type OperationInfo,
  type Reach,
  type SideChange,
  type SideHealth,
  type StandbyPolicy,
  type StoreWarning,
  type SwitchEvent,
  type ViewHooks,
} from './switch/index.ts'
export {
  createTelemetry,
  type Recorder,
  type Telemetry,
  type TelemetryOptions,
} from './telemetry/index.ts'
