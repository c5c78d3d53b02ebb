import { quote, SwitchbackError } from '../../errors.ts'
import { checkNames, type NamesOf, requireOption } from '../../options.ts'
import {
  ANY,
  type CacheBackend,
  type Entry,
  type InvalidateOptions,
  type InvalidateResult,
  type MaybePromise,
  type WriteOptions,
  type WriteResult,
} from '../backend.ts'
import { ABSENT, type Cell, NEVER } from '../cell.ts'
import {
  type Envelope,
  openEnvelope,
  sealEnvelope,
  tombstoneEnvelope,
  valueEnvelope,
} from '../envelope.ts'
import type { PlainCodec } from '../plain-value.ts'
import { storageKey } from '../storage-key.ts'
import { after } from './after.ts'
import { KeyLock } from './key-lock.ts'
import { memoryCache } from './memory-cache.ts'
import { PlainAdaptedCache, refusedWrite } from './plain-cache.ts'

/** As {@link KeyValueStore}, with the application's own values in it. */
export interface PlainStore {
  get(key: string): unknown
  /** @param ttl milliseconds; `undefined`: it does not expire. Answers `false` when it has failed. */
  set(key: string, value: never, ttl?: number): unknown
  delete(key: string): unknown
  clear(): unknown
  /**
   * When the value ends, in epoch milliseconds; `Infinity`: never. Without it, and without Keyv's `getRaw`, a value
   * that is there already is served to users of the other side too, and not moved there.
   */
  expiresAt?(key: string): MaybePromise<number | undefined>
}

/**
 * A cache that the application already has, shaped as Keyv is (`new Keyv(...)` of version 4 or 5 is
 * one); each method may be synchronous or return a promise.
 */
export interface KeyValueStore {
  get(key: string): unknown
  /** @param ttl milliseconds; `undefined`: it does not expire. Answers `false` when it has failed. */
  set(key: string, value: string, ttl?: number): unknown
  delete(key: string): unknown
  clear(): unknown
}

export interface AdaptCacheOptions {
  /** In logs, metrics and health. @default 'adapted' */
  readonly name?: string
  /** How long a tombstone lives, in milliseconds. @default 120_000 */
  readonly tombstoneTtl?: number
  /** Whether other processes use the same data. The switch then says what it cannot promise. @default false */
  readonly shared?: boolean
  /**
   * - `cells`: the store has cells of the switch, as texts, and nothing else;
   * - `plain`: the application's own values under its own keys, as its other code reads and writes them. What the
   *   switch needs beside is kept in the memory of this process, or in the store (`switchback:plain:...`) if
   *   it is `shared`. What then holds: docs/guarantees.md, "Plain values".
   *
   * @default 'cells'
   */
  readonly values?: 'cells' | 'plain'
}

export interface AdaptPlainOptions extends AdaptCacheOptions {
  readonly values: 'plain'
  /**
   * Between the text of the switch and what the application keeps in the store. What `decode` throws on stays as
   * it is and is not served.
   * @default `JSON.parse` and `JSON.stringify`, for objects that survive both
   */
  readonly codec?: PlainCodec<unknown>
  /** Keys of which this process remembers what it wrote. @default 10_000 */
  readonly maxEntries?: number
}

const OPTIONS: NamesOf<AdaptPlainOptions> = {
  name: true,
  tombstoneTtl: true,
  shared: true,
  values: true,
  codec: true,
  maxEntries: true,
}
const DEFAULT_TOMBSTONE_TTL_MS = 120_000
/** No key of a cache is this: a key that begins with `#` is always hashed. */
const PROBE_KEY = '#ping'

/**
 * A backend over a cache that the application already has. Give it a store (or a namespace) of its
 * own: `clear` empties it; or the one in use, with `values: 'plain'`. Writes are atomic **within this process only**, so it suits a cache that
 * only this process writes. It cannot keep the store from applying a write late, and sees only the
 * failures that the store reports (Keyv reports failed reads as misses unless `throwOnErrors` is
 * set).
 *
 * @throws SwitchbackError `SB_STORE_INVALID`: a method is missing. `SB_OPTION_INVALID`. Operations reject with
 * the store's own errors, or `SB_STORE_FAILED` when `set` answers `false`.
 */
export function adaptCache(store: KeyValueStore, options?: AdaptCacheOptions): CacheBackend
export function adaptCache(store: PlainStore, options: AdaptPlainOptions): CacheBackend
export function adaptCache(
  store: KeyValueStore | PlainStore,
  options: AdaptPlainOptions | AdaptCacheOptions = {},
): CacheBackend {
  checkNames('adaptCache', options, OPTIONS)
  checkStore(store)
  const { values = 'cells', codec, maxEntries } = options as Partial<AdaptPlainOptions>
  const kinds = "'cells' keeps cells of the switch, 'plain' the values that are there"
  requireOption(values === 'cells' || values === 'plain', 'adaptCache', 'values', values, kinds)
  if (values === 'plain') return plainCache(store as PlainStore, options as AdaptPlainOptions)
  for (const [option, value] of Object.entries({ codec, maxEntries })) {
    const hint = "it belongs to values: 'plain'"
    requireOption(value === undefined, 'adaptCache', option, value, hint)
  }
  return new AdaptedCache(store as KeyValueStore, options)
}

function plainCache(store: PlainStore, options: AdaptPlainOptions): CacheBackend {
  const { tombstoneTtl, maxEntries, shared = false } = options
  const life = tombstoneTtl === undefined ? {} : { tombstoneTtl }
  const limit = maxEntries === undefined ? {} : { maxEntries }
  const companions = shared
    ? new AdaptedCache(store as unknown as KeyValueStore, life)
    : memoryCache({ ...life, ...limit })
  return new PlainAdaptedCache(store, companions, options)
}

class AdaptedCache implements CacheBackend {
  readonly name: string
  readonly tombstoneTtl: number
  readonly shared: boolean
  readonly #store: KeyValueStore
  readonly #lock = new KeyLock()

  constructor(store: KeyValueStore, options: AdaptCacheOptions) {
    this.#store = store
    this.name = options.name ?? 'adapted'
    this.tombstoneTtl = options.tombstoneTtl ?? DEFAULT_TOMBSTONE_TTL_MS
    this.shared = options.shared ?? false
  }

  read(key: string): MaybePromise<Cell> {
    return this.#load(storageKey(key))
  }

  write(key: string, entry: Entry, { expect, within }: WriteOptions): MaybePromise<WriteResult> {
    const name = storageKey(key)
    const deadline = performance.now() + within
    return this.#lock.run(name, () =>
      after(expect === ANY ? undefined : this.#load(name), (cell) => {
        const refused = cell !== undefined && cell.token !== expect
        if (refused || performance.now() > deadline) return { written: false, token: '' }
        const envelope = valueEnvelope(entry.payload, entry.expiresAt)
        return after(this.#save(name, envelope, entry.expiresAt), () => ({
          written: true,
          token: envelope.token,
        }))
      }),
    )
  }

  invalidate(key: string, options: InvalidateOptions): MaybePromise<InvalidateResult> {
    const { successor = '', notBefore = 0 } = options
    const name = storageKey(key)
    return this.#lock.run(name, () => {
      if (this.now() < notBefore) return { done: false, existed: false, token: '' }
      return after(this.#load(name), (cell) => {
        const envelope = tombstoneEnvelope(successor)
        return after(this.#save(name, envelope, 0), () => ({
          done: true,
          existed: cell.state === 'value',
          token: envelope.token,
        }))
      })
    })
  }

  async clear({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted()
    await this.#lock.runAlone(() => this.#store.clear())
  }

  now(): number {
    return Date.now()
  }

  async ping(): Promise<void> {
    await this.#store.get(PROBE_KEY)
  }

  /** Leaves the store open: it is the application's. */
  async close(): Promise<void> {}

  #load(name: string): MaybePromise<Cell> {
    return after(this.#store.get(name), (text) =>
      // Foreign data under our key: a miss, which any writer that saw it may replace.
      typeof text === 'string'
        ? (openEnvelope(text, this.now(), this.tombstoneTtl) ?? ABSENT)
        : ABSENT,
    )
  }

  #save(name: string, envelope: Envelope, expiresAt: number): MaybePromise<void> {
    const now = this.now()
    const ttl =
      expiresAt === NEVER ? undefined : Math.ceil(Math.max(expiresAt - now, 0) + this.tombstoneTtl)
    return after(this.#store.set(name, sealEnvelope(envelope, now), ttl), (answer) => {
      if (answer === false) throw refusedWrite(this.name)
    })
  }
}

function checkStore(store: KeyValueStore | PlainStore): void {
  const methods = ['get', 'set', 'delete', 'clear'] as const
  const missing = methods.filter((method) => typeof store?.[method] !== 'function')
  if (missing.length === 0) return
  throw new SwitchbackError(
    'SB_STORE_INVALID',
    `A store to adapt needs the methods ${methods.join(', ')}; ${quote(missing.join(', '))} missing.`,
    { hint: 'Pass a Keyv, or an object with the same four methods.' },
  )
}
