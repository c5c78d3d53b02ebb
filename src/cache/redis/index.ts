/** The Redis backend: standalone, Sentinel and Cluster, through ioredis. */
export type { RedisClient, RedisCluster, RedisNode } from './client.ts'
export type { RedisCacheOptions } from './options.ts'
export { redisCache } from './redis-cache.ts'
