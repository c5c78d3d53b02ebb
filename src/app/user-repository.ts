import { setTimeout as sleep } from 'node:timers/promises'

/** Where users come from: the origin that the cache spares. */
export interface UserRepository {
  load(userId: string): Promise<string>
  save(userId: string, data: string): Promise<void>
}

export interface MemoryUserRepositoryOptions {
  /** How long each call takes, in milliseconds. @default 25 */
  readonly latencyMs?: number
}

/** An origin for demonstrations: knows every user, takes its time, forgets all when it ends. */
export class MemoryUserRepository implements UserRepository {
  readonly #saved = new Map<string, string>()
  readonly #latencyMs: number

  constructor(options: MemoryUserRepositoryOptions = {}) {
    this.#latencyMs = options.latencyMs ?? 25
  }

  async load(userId: string): Promise<string> {
    await sleep(this.#latencyMs)
    return this.#saved.get(userId) ?? `UserData for ${userId}`
  }

  async save(userId: string, data: string): Promise<void> {
    await sleep(this.#latencyMs)
    this.#saved.set(userId, data)
  }
}
