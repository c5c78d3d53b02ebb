/**
 * What a cache is: `CacheService` for business code, `CacheBackend` for each side of the switch,
 * and the backends themselves. Nothing in here knows of flags, users or the other side.
 */
export * from './cell.ts'
export * from './backend.ts'
export * from './cache-service.ts'
export { checkKey, keyNamed, MAX_KEY_BYTES, storageKey } from './storage-key.ts'
export { parseTtl } from './ttl.ts'
export type { PlainCodec } from './plain-value.ts'
export { newToken } from './envelope.ts'
export { type FileCache, fileCache } from './file/file-cache.ts'
export type { FileCacheOptions } from './file/options.ts'
export type { RedisClient, RedisCluster, RedisNode } from './redis/connection/redis-client.ts'
export type { AnyRedisClient } from './redis/clients/given.ts'
export type { GlideClient } from './redis/clients/glide.ts'
export type { NodeRedisCluster, NodeRedisMaster } from './redis/clients/node-redis-cluster.ts'
export type { NodeRedisSentinel } from './redis/clients/node-redis-sentinel.ts'
export type { NodeRedisClient } from './redis/clients/node-redis.ts'
export type {
  GivenRedisClient,
  RedisCacheOptions,
  RedisCacheSettings,
  RedisConnection,
  RedisUrl,
} from './redis/options.ts'
export { redisCache } from './redis/redis-cache.ts'
export { FOREIGN } from './redis/scripts.ts'
// For the command line, which shows and checks what the environment names.
export { PLAIN_SPACE } from './redis/plain/plain-names.ts'
export { prefixOf, stateNameOf } from './redis/state-name.ts'
export { transportFault } from './redis/connection/transport.ts'
export { parseRedisUrl, type RedisAddress, shownRedisUrl } from './redis/connection/url.ts'
export {
  adaptCache,
  type AdaptCacheOptions,
  type AdaptPlainOptions,
  type KeyValueStore,
  type PlainStore,
} from './adapter/adapt-cache.ts'
export { memoryCache, type MemoryCacheOptions } from './adapter/memory-cache.ts'
// For the doctor, who asks what the user of a connection may do, and looks into the files of a store that is not in use here.
export { grant, missingRights, userOf } from './redis/rights.ts'
export { ControlFile } from './file/ledger/control-file.ts'
export { Database, SCHEMA_VERSION } from './file/sqlite/database.ts'
export { judgeBoot, readBootId } from './file/opening/machine.ts'
export { storeFiles } from './file/store.ts'
