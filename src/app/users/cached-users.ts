import type { CacheService, Ttl } from '../../cache/index.ts'
import type { UserRepository } from './user-repository.ts'

/** The part of a cache that this code uses. It does not know which cache it is, or who picks it. */
export type UserCache = Pick<CacheService, 'getOrSet' | 'set' | 'delete'>

const TTL: Ttl = '10m'

/** Business code: users, loaded from a slow origin and cached. */
export class Users {
  readonly #cache: UserCache
  readonly #repository: UserRepository

  constructor(cache: UserCache, repository: UserRepository) {
    this.#cache = cache
    this.#repository = repository
  }

  processUserData(userId: string): Promise<string> {
    return this.#cache.getOrSet(cacheKey(userId), () => this.#repository.load(userId), { ttl: TTL })
  }

  async save(userId: string, data: string): Promise<void> {
    await this.#repository.save(userId, data)
    await this.#cache.set(cacheKey(userId), data, { ttl: TTL })
  }

  /** Resolves to whether something was cached. */
  forget(userId: string): Promise<boolean> {
    return this.#cache.delete(cacheKey(userId))
  }
}

function cacheKey(userId: string): string {
  return `user:${userId}`
}
