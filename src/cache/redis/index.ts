/** The Redis backend: standalone, Sentinel and Cluster, through ioredis. */
export type { RedisClient, RedisCluster, RedisNode } from './client.ts'
export { redisCache, type RedisCacheOptions } from './redis-cache.ts'
