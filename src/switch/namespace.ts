import {
  type CacheNamespace,
  checkKey,
  type GetOrSetOptions,
  type Loader,
  newToken,
  type SetOptions,
} from '../cache/index.ts'
import { requireOption } from '../options.ts'
import type { Side } from '../side.ts'
import type { CacheView } from './cache-switch.ts'
import type { GuardedSide } from './sides/guarded-side.ts'

/** Who begins a generation says first that the last one has ended: nobody uses a new one before all know that. */
const ENDED = 'clearing '
/** How long a write waits for one that somebody begins, and how often it looks. */
const BEGINS_MS = 2000
const LOOK_MS = 20

/**
 * Where the generations of namespaces are. All users have them from one side, whichever theirs is, and change them
 * by sets only: two that are begun at once follow one another there. On two sides each would stay with its own.
 */
export class Generations {
  readonly side: Side
  /** By namespace, those that this process begins. */
  readonly beginning: Map<string, Promise<string>> = new Map()

  /** The side that other machines see too, where only one is. */
  constructor({ off, on }: Readonly<Record<Side, GuardedSide>>) {
    this.side = on.backend.shared === true && off.backend.shared !== true ? 'on' : 'off'
  }
}

/** The same cache, for a user of the side that has the generations. */
interface GenerationStore {
  get(key: string): Promise<unknown>
  setEither(key: string, value: string, instead: string): Promise<boolean>
}

/**
 * A part of a cache that is cleared by itself. Its keys carry a generation, which is itself a value of the cache:
 * whoever begins after `clear` was acknowledged reads another one and finds nothing. For a read an unknown
 * generation is a miss; others begin another one, so that no reader finds what they replace.
 */
export class NamespaceView implements CacheNamespace {
  readonly #view: CacheView
  readonly #generations: GenerationStore
  readonly #beginning: Map<string, Promise<string>>
  readonly #name: string
  readonly #generationKey: string

  constructor(
    view: CacheView,
    generations: GenerationStore,
    { beginning }: Generations,
    name: string,
  ) {
    const hint = 'give it a name: namespace("profiles")'
    requireOption(typeof name === 'string' && name !== '', 'namespace', 'the name', name, hint)
    this.#view = view
    this.#generations = generations
    this.#beginning = beginning
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
    return this.#view.getOrSet(this.#in(await this.#known(), key), load, options)
  }

  async set<T>(key: string, value: T, options?: SetOptions): Promise<void> {
    await this.#view.set(this.#in(await this.#known(), key), value, options)
  }

  async setMany<T>(entries: Iterable<readonly [string, T]>, options?: SetOptions): Promise<void> {
    const at = await this.#known()
    const named = [...entries].map(([key, value]) => [this.#in(at, key), value] as const)
    await this.#view.setMany(named, options)
  }

  async has(key: string): Promise<boolean> {
    const at = await this.#generation()
    return at !== undefined && this.#view.has(this.#in(at, key))
  }

  async delete(key: string): Promise<boolean> {
    return this.#view.delete(this.#in(await this.#known(), key))
  }

  async deleteMany(keys: Iterable<string>): Promise<number> {
    const at = await this.#known()
    return this.#view.deleteMany([...keys].map((key) => this.#in(at, key)))
  }

  async clear(): Promise<void> {
    await this.#begin()
  }

  #in(generation: string, key: string): string {
    checkKey(key)
    return `${this.#name}:${generation}:${key}`
  }

  /** `undefined`: none is known, or somebody begins one just now. */
  async #generation(): Promise<string | undefined> {
    const found = await this.#generations.get(this.#generationKey)
    return typeof found === 'string' && !found.startsWith(ENDED) ? found : undefined
  }

  /** The one that is known now, or one that this call begins. */
  async #known(): Promise<string> {
    const until = performance.now() + BEGINS_MS
    for (let joined = false; ;) {
      const found = await this.#generations.get(this.#generationKey)
      const ended = typeof found === 'string' && found.startsWith(ENDED)
      if (typeof found === 'string' && !ended) return found
      const beginning = this.#beginning.get(this.#name)
      if (beginning !== undefined && !joined) {
        // It may have been replaced before this call began: only a look tells.
        joined = true
        await beginning
      } else if (ended && performance.now() < until) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      } else return this.#begin()
    }
  }

  #begin(): Promise<string> {
    const beginning = this.#end().finally(() => {
      if (this.#beginning.get(this.#name) === beginning) this.#beginning.delete(this.#name)
    })
    this.#beginning.set(this.#name, beginning)
    return beginning
  }

  /**
   * Ends the last generation, and begins one. What its side does not take may be there all the same, and be used,
   * until that is noted for all: only then another one begins on the other side.
   */
  async #end(): Promise<string> {
    const [first, other] = [newToken(), newToken()]
    await this.#set(ENDED + first, ENDED + other)
    if (await this.#set(first, ENDED + other)) return first
    const [second, third] = [newToken(), newToken()]
    await this.#set(ENDED + second, ENDED + third)
    return (await this.#set(second, third)) ? second : third
  }

  #set(value: string, instead: string): Promise<boolean> {
    return this.#generations.setEither(this.#generationKey, value, instead)
  }
}
