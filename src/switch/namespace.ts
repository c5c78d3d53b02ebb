import {
  type CacheNamespace,
  checkKey,
  type GetOrSetOptions,
  type Loader,
  newToken,
  type SetOptions,
} from '../cache/index.ts'
import { requireOption } from '../options.ts'
import type { CacheView } from './cache-switch.ts'

/** Who clears says first that the old generation has ended: nobody uses a new one before that is known to all. */
const CLEARING = 'clearing '
/** How long a write waits for a clear that is under way, and how often it looks. */
const CLEARING_MS = 2000
const LOOK_MS = 20

/**
 * A part of a cache that is cleared by itself. Its keys carry a generation, which is itself a value of the cache:
 * whoever begins after `clear` was acknowledged reads another one and finds nothing. An unknown generation is a
 * miss; a write begins another one, so that no reader finds what it replaces.
 */
export class NamespaceView implements CacheNamespace {
  readonly #view: CacheView
  readonly #name: string
  readonly #generationKey: string
  #beginning: Promise<string> | undefined

  constructor(view: CacheView, name: string) {
    const hint = 'give it a name: namespace("profiles")'
    requireOption(typeof name === 'string' && name !== '', 'namespace', 'the name', name, hint)
    this.#view = view
    this.#name = name
    this.#generationKey = `${name}:#generation`
    checkKey(this.#generationKey)
  }

  async get<T = unknown>(key: string): Promise<T | undefined> {
    const at = await this.#generation()
    return at === undefined ? undefined : this.#view.get<T>(this.#in(at, key))
  }

  async getMany<T = unknown>(keys: Iterable<string>): Promise<Map<string, T>> {
    const at = await this.#generation()
    const wanted = [...keys]
    if (at === undefined) return new Map()
    const found = await this.#view.getMany<T>(wanted.map((key) => this.#in(at, key)))
    const values = wanted.map((key) => [key, found.get(this.#in(at, key))] as const)
    return new Map(values.filter((one): one is readonly [string, T] => one[1] !== undefined))
  }

  async getOrSet<T>(key: string, load: Loader<T>, options?: GetOrSetOptions): Promise<T> {
    // One that could not be stored belongs to this call alone: what it stores is found by nobody.
    const found =
      (await this.#generation()) ?? (await this.#view.getOrSet(this.#generationKey, newToken))
    return this.#view.getOrSet(this.#in(found, key), load, options)
  }

  async set<T>(key: string, value: T, options?: SetOptions): Promise<void> {
    await this.#view.set(this.#in(await this.#ofWrites(), key), value, options)
  }

  async setMany<T>(entries: Iterable<readonly [string, T]>, options?: SetOptions): Promise<void> {
    const at = await this.#ofWrites()
    const named = [...entries].map(([key, value]) => [this.#in(at, key), value] as const)
    await this.#view.setMany(named, options)
  }

  async has(key: string): Promise<boolean> {
    const at = await this.#generation()
    return at !== undefined && this.#view.has(this.#in(at, key))
  }

  async delete(key: string): Promise<boolean> {
    return this.#view.delete(this.#in(await this.#ofWrites(), key))
  }

  async deleteMany(keys: Iterable<string>): Promise<number> {
    const at = await this.#ofWrites()
    return this.#view.deleteMany([...keys].map((key) => this.#in(at, key)))
  }

  async clear(): Promise<void> {
    await this.#view.set(this.#generationKey, CLEARING + newToken())
    await this.#begin()
  }

  #in(generation: string, key: string): string {
    checkKey(key)
    return `${this.#name}:${generation}:${key}`
  }

  /** `undefined`: nothing is known, or somebody clears it just now. */
  async #generation(): Promise<string | undefined> {
    const found = await this.#view.get(this.#generationKey)
    return typeof found === 'string' && !found.startsWith(CLEARING) ? found : undefined
  }

  async #ofWrites(): Promise<string> {
    const until = performance.now() + CLEARING_MS
    for (;;) {
      const found = await this.#view.get(this.#generationKey)
      const isClearing = typeof found === 'string' && found.startsWith(CLEARING)
      if (typeof found === 'string' && !isClearing) return found
      if (!isClearing || performance.now() > until) return this.#beginOnce()
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  #beginOnce(): Promise<string> {
    this.#beginning ??= this.#begin().finally(() => {
      this.#beginning = undefined
    })
    return this.#beginning
  }

  async #begin(): Promise<string> {
    const generation = newToken()
    await this.#view.set(this.#generationKey, generation)
    return generation
  }
}
