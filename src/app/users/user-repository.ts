import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

/** Where users come from: the origin that the cache relieves. */
export interface UserRepository {
  load(userId: string): Promise<string>
  save(userId: string, data: string): Promise<void>
}

export interface MemoryUserRepositoryOptions {
  /** How long each call takes, in milliseconds. @default 25 */
  readonly latencyMs?: number
}

/** An origin for demonstrations: knows every user, is slow, forgets all when it ends. */
export class MemoryUserRepository implements UserRepository {
  readonly #saved = new Map<string, string>()
  readonly #latencyMs: number
  readonly #end = new AbortController()

  constructor(options: MemoryUserRepositoryOptions = {}) {
    this.#latencyMs = options.latencyMs ?? 25
    // One listener for each call under way is expected here, not a leak.
    setMaxListeners(0, this.#end.signal)
  }

  async load(userId: string): Promise<string> {
    await this.#takeTime()
    return this.#saved.get(userId) ?? `UserData for ${userId}`
  }

  async save(userId: string, data: string): Promise<void> {
    await this.#takeTime()
    this.#saved.set(userId, data)
  }

  /** Calls under way reject. */
  close(): void {
    this.#end.abort()
  }

  #takeTime(): Promise<void> {
    return sleep(this.#latencyMs, undefined, { signal: this.#end.signal })
  }
}
