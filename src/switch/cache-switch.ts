import type { CacheService, GetOrSetOptions, Loader, SetOptions } from '../cache/index.ts'
import type { DecisionContext } from '../flags/index.ts'
import { safeListener } from '../listeners.ts'
import type { Engine } from './engine.ts'
import type { CacheHealth } from './health.ts'
import type { OnOperation } from './operation.ts'
import type { Caller } from './pinning.ts'

/** The operations of a cache, on behalf of one caller. */
export type CacheView = Omit<CacheService, 'close' | typeof Symbol.asyncDispose>

export interface ViewHooks {
  /** Called once when each operation ends. */
  readonly onOperation?: OnOperation
}

/** Two caches behind a flag. To business code it is a `CacheService`. */
export interface CacheSwitch extends CacheService {
  /** The same cache for an explicit evaluation context, instead of OpenFeature's transaction context. */
  for(context: DecisionContext | undefined, hooks?: ViewHooks): CacheView
  /** What is degraded and since when. */
  health(): CacheHealth
}

const DELETE_BATCH = 256

/** One caller's way into the engine. */
export class CallerView implements CacheView {
  readonly #engine: Engine
  readonly #caller: Caller

  constructor(engine: Engine, caller: Caller) {
    this.#engine = engine
    this.#caller = caller
  }

  get<T = unknown>(key: string): Promise<T | undefined> {
    return this.#engine.get<T>(this.#caller, key)
  }

  set<T>(key: string, value: T, options?: SetOptions): Promise<void> {
    return this.#engine.set(this.#caller, key, value, options)
  }

  getOrSet<T>(key: string, load: Loader<T>, options?: GetOrSetOptions): Promise<T> {
    return this.#engine.getOrSet(this.#caller, key, load, options)
  }

  has(key: string): Promise<boolean> {
    return this.#engine.has(this.#caller, key)
  }

  delete(key: string): Promise<boolean> {
    return this.#engine.delete(this.#caller, key)
  }

  async deleteMany(keys: Iterable<string>): Promise<number> {
    const distinct = [...new Set(keys)]
    let count = 0
    for (let i = 0; i < distinct.length; i += DELETE_BATCH) {
      const batch = distinct.slice(i, i + DELETE_BATCH)
      const deleted = await Promise.all(batch.map((key) => this.delete(key)))
      count += deleted.filter(Boolean).length
    }
    return count
  }

  clear(): Promise<void> {
    return this.#engine.clear()
  }
}

export interface SwitchedCacheParts {
  readonly engine: Engine
  readonly health: () => CacheHealth
  readonly close: () => Promise<void>
}

export class SwitchedCache extends CallerView implements CacheSwitch {
  readonly #parts: SwitchedCacheParts
  #closing: Promise<void> | undefined

  constructor(parts: SwitchedCacheParts) {
    super(parts.engine, { context: undefined, onOperation: undefined })
    this.#parts = parts
  }

  for(context: DecisionContext | undefined, hooks: ViewHooks = {}): CacheView {
    const { onOperation } = hooks
    return new CallerView(this.#parts.engine, {
      context,
      onOperation: onOperation && safeListener('onOperation', onOperation),
    })
  }

  health(): CacheHealth {
    return this.#parts.health()
  }

  close(): Promise<void> {
    this.#closing ??= this.#parts.close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
