/**
 * What a cache is: `CacheService` for business code, `CacheBackend` for each side of the switch, and
 * the backends themselves. Nothing in here knows of flags, users or the other side.
 */
export * from './cell.ts'
export * from './backend.ts'
export * from './service.ts'
export {
  type FileCache,
  fileCache,
  type FileCacheOptions,
  inspectStores,
  type StoreReport,
} from './file/index.ts'
export { checkKey, MAX_KEY_BYTES, storageKey } from './storage-key.ts'
export { parseTtl } from './ttl.ts'
export { redisCache, type RedisCacheOptions, type RedisClient } from './redis/index.ts'
export {
  adaptCache,
  type AdaptCacheOptions,
  type KeyValueStore,
  memoryCache,
  type MemoryCacheOptions,
} from './adapter/index.ts'
