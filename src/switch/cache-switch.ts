import type { CacheService } from '../cache/index.ts'
import type { DecisionContext } from '../flags/index.ts'
import { safeListener } from '../listeners.ts'
import { checkNames, type NamesOf, requireOption } from '../options.ts'
import { copy, type CopyOptions, type CopyReport } from './copy/copy.ts'
import type { Follower } from './truth/follower.ts'
import type { CacheHealth } from './sides/health.ts'
import type { OnOperation } from './operation.ts'
import { closedError } from './background/under-way.ts'
import { CallerView, type ViewParts } from './cache-view.ts'

/** The operations of a cache, on behalf of one caller. */
export type CacheView = Omit<CacheService, 'close' | typeof Symbol.asyncDispose>

export interface ViewHooks {
  /** Called once when each operation ends. */
  readonly onOperation?: OnOperation
}

const HOOKS: NamesOf<ViewHooks> = { onOperation: true }

/** Two caches behind a flag. To business code it is a `CacheService`. */
export interface CacheSwitch extends CacheService {
  /** The same cache for an explicit evaluation context, instead of OpenFeature's transaction context. */
  for(context: DecisionContext | undefined, hooks?: ViewHooks): CacheView
  /** What is degraded and since when. */
  health(): CacheHealth
  /**
   * Copies what is alive on one side to the other one, before or after a flip: each key as its user would who
   * changes sides and reads it, so it is safe beside all other traffic. The values stay on both sides. A store
   * that can be scanned is needed: `fileCache`, `redisCache`, `memoryCache`.
   */
  copy(options: CopyOptions): Promise<CopyReport>
}

export interface SwitchedCacheParts extends ViewParts {
  readonly follower: Follower | undefined
  readonly health: () => CacheHealth
  readonly close: () => Promise<void>
}

export class SwitchedCache extends CallerView implements CacheSwitch {
  readonly #parts: SwitchedCacheParts
  #closing: Promise<void> | undefined

  constructor(parts: SwitchedCacheParts) {
    super(parts, { context: undefined, onOperation: undefined })
    this.#parts = parts
  }

  for(context: DecisionContext | undefined, hooks: ViewHooks = {}): CacheView {
    const given = context === undefined || (typeof context === 'object' && context !== null)
    const hint = 'pass an evaluation context: cache.for({ targetingKey: userId })'
    requireOption(given, 'cache.for', 'the user', context, hint)
    checkNames('cache.for', hooks, HOOKS)
    const { onOperation } = hooks
    return new CallerView(this.#parts, {
      context,
      onOperation: onOperation && safeListener('onOperation', onOperation),
    })
  }

  health(): CacheHealth {
    return this.#parts.health()
  }

  async copy(options: CopyOptions): Promise<CopyReport> {
    if (this.#parts.underWay.closed) throw closedError()
    return copy(this.#parts, options)
  }

  close(): Promise<void> {
    this.#closing ??= this.#parts.close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
