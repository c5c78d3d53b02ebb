/** Caches that live elsewhere than in a store of our own: the application's, or this process's memory. */
export { adaptCache, type AdaptCacheOptions, type KeyValueStore } from './adapt-cache.ts'
export { memoryCache, type MemoryCacheOptions } from './memory-cache.ts'
