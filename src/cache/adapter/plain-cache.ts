import { quote, SwitchbackError } from '../../errors.ts'
import {
  ANY,
  type CacheBackend,
  type Entry,
  type InvalidateOptions,
  type InvalidateResult,
  type MaybePromise,
  type Membership,
  type WriteOptions,
  type WriteResult,
} from '../backend.ts'
import { ABSENT, type Cell, EXPIRY_UNKNOWN, NEVER } from '../cell.ts'
import { digestOf, goneOf, isJson, type PlainCodec, tokenOfForeign } from '../plain-value.ts'
import { checkKey, storageKey } from '../storage-key.ts'
import { type OnWarning, Warnings } from '../warn.ts'
import type { AdaptPlainOptions, PlainStore } from './adapt-cache.ts'
import { after } from './after.ts'
import { evictOver } from './evict-over.ts'
import { KeyLock } from './key-lock.ts'
import { plainJson } from './plain-json.ts'

/** Of what the switch keeps in a shared store. */
const COMPANIONS = 'switchback:plain:'
/** The token of what the codec cannot read: no cell has it. */
const UNREADABLE = '?'
/** Keys that this process wrote, for `clear`. */
const MAX_WRITTEN = 100_000

/** Keyv since 5.3; earlier ones answer a `get` with `{ raw: true }`, which other stores take for a plain one. */
interface RawStore {
  getRaw(key: string): MaybePromise<{ readonly expires?: number | null } | undefined>
}

/**
 * The application's own values in its own store. What the switch needs beside, a companion has: a cell whose payload
 * is the expiry and the digest of the value. A value with another digest was written by somebody else.
 */
export class PlainAdaptedCache implements CacheBackend {
  readonly name: string
  readonly tombstoneTtl: number
  readonly shared: boolean
  readonly outsiders: boolean = true
  /** How often a value that the codec cannot read was left alone. */
  foreign = 0
  readonly #store: PlainStore
  readonly #companions: CacheBackend
  readonly #codec: PlainCodec<unknown>
  readonly #lock = new KeyLock()
  readonly #written = new Set<string>()
  readonly #warnings = new Warnings()
  /** What was there before counts as this old. */
  #since = Date.now()
  #readable: (payload: string) => boolean = isJson

  /** @param companions keeps the cells; their keys are the values' with a prefix */
  constructor(store: PlainStore, companions: CacheBackend, options: AdaptPlainOptions) {
    this.#store = store
    this.#companions = companions
    this.#codec = options.codec ?? plainJson
    this.name = options.name ?? 'adapted'
    this.tombstoneTtl = companions.tombstoneTtl
    this.shared = options.shared ?? false
  }

  join({ readable }: Membership): void {
    this.#readable = readable ?? isJson
  }

  onWarning(listener: OnWarning): void {
    this.#warnings.to(listener)
  }

  read(key: string): MaybePromise<Cell> {
    return after(this.#companions.read(companionOf(key)), (companion) =>
      after(this.#store.get(key), (stored) => this.#open(companion, stored)),
    )
  }

  write(key: string, entry: Entry, { expect, within }: WriteOptions): MaybePromise<WriteResult> {
    checkKey(key)
    const deadline = performance.now() + within
    return this.#lock.run(key, () =>
      after(expect === ANY ? undefined : this.read(key), (cell) => {
        if (cell?.token === UNREADABLE) return { written: false, token: '', foreign: true }
        const refused = cell !== undefined && cell.token !== expect
        if (refused || performance.now() > deadline) return { written: false, token: '' }
        return this.#put(key, entry)
      }),
    )
  }

  invalidate(key: string, options: InvalidateOptions): MaybePromise<InvalidateResult> {
    checkKey(key)
    return this.#lock.run(key, () => {
      if (this.now() < (options.notBefore ?? 0)) return { done: false, existed: false, token: '' }
      return after(this.read(key), ({ state, token: seen }) =>
        after(this.#store.delete(key), () =>
          after(this.#companions.invalidate(companionOf(key), options), ({ done, token }) => {
            this.#written.delete(key)
            return { done, existed: state === 'value' || seen === UNREADABLE, token }
          }),
        ),
      )
    })
  }

  /** Deletes what this process wrote, as far as it is still there. The switch distrusts the rest by its age. */
  async clear({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#since = Math.min(this.#since, this.now())
    await this.ping()
    for (const key of Array.from(this.#written)) {
      signal?.throwIfAborted()
      const cell = await this.read(key)
      if (cell.expiresAt === EXPIRY_UNKNOWN) this.#written.delete(key)
      else await this.invalidate(key, { within: Number.POSITIVE_INFINITY })
    }
  }

  async claim(key: string, { token }: Cell): Promise<number | undefined> {
    const store = this.#store as PlainStore & Partial<RawStore>
    let expiresAt: number | undefined
    if (typeof store.expiresAt === 'function') expiresAt = await store.expiresAt(key)
    else if (typeof store.getRaw === 'function') {
      const raw = await store.getRaw(key)
      if (raw !== undefined) expiresAt = raw.expires ?? Number.POSITIVE_INFINITY
    }
    if (expiresAt === undefined) return undefined
    const end = Math.min(expiresAt, NEVER)
    return this.#lock.run(key, () =>
      after(this.read(key), (cell) => {
        if (cell.token !== token) return undefined
        return after(this.#note(key, digestOf(cell.payload), end, cell.writtenAt), () => end)
      }),
    )
  }

  now(): number {
    return Date.now()
  }

  async ping(): Promise<void> {
    await this.#store.get(COMPANIONS)
  }

  /** Leaves the store open: it is the application's. */
  async close(): Promise<void> {
    await this.#companions.close()
  }

  #open(companion: Cell, stored: unknown): Cell {
    const { cell, digest: ours } = this.#left(companion)
    if (stored === undefined) return goneOf(cell, ours !== '')
    let payload: string
    try {
      payload = this.#codec.decode(stored)
    } catch {
      return this.#unreadable(stored)
    }
    const digest = digestOf(payload)
    if (ours === digest) return cell.state === 'value' ? { ...cell, payload } : cell
    // Some stores answer so for what they do not have.
    if (stored === null) return goneOf(cell, ours !== '')
    if (!this.#readable(payload)) return this.#unreadable(stored)
    const writtenAt = companion.state === 'absent' ? this.#since : companion.writtenAt
    const token = tokenOfForeign(digest, cell.token)
    const foreign = { ...ABSENT, token, payload, writtenAt, successor: cell.token }
    return { ...foreign, state: 'value', expiresAt: EXPIRY_UNKNOWN }
  }

  /** What the switch left there last, without the value. */
  #left(companion: Cell): { readonly cell: Cell; readonly digest: string } {
    const { state, token } = companion
    if (state === 'expired') return { cell: { ...ABSENT, token }, digest: '' }
    if (state !== 'value') return { cell: companion, digest: '' }
    const [end = '', digest = '', before = ''] = companion.payload.split('|')
    const expiresAt = Number(end)
    const writtenAt = Number(before) || companion.writtenAt
    const now = this.now()
    if (expiresAt !== NEVER && now >= Math.max(expiresAt, writtenAt) + this.tombstoneTtl) {
      return { cell: { ...ABSENT, token }, digest }
    }
    const alive = expiresAt === NEVER || now < expiresAt
    const cell: Cell = {
      ...companion,
      state: alive ? 'value' : 'expired',
      payload: '',
      expiresAt,
      writtenAt,
    }
    return { cell, digest }
  }

  #put(key: string, entry: Entry): MaybePromise<WriteResult> {
    const { payload, expiresAt } = entry
    const value = this.#codec.encode(payload)
    const ttl = expiresAt === NEVER ? undefined : Math.ceil(expiresAt - this.now())
    const stored =
      ttl !== undefined && ttl <= 0
        ? this.#store.delete(key)
        : this.#store.set(key, value as never, ttl)
    // What a reader of the store will make of it: not each text comes back to the letter.
    const digest = digestOf(this.#codec.decode(value))
    return after(stored, (answer) => {
      if (answer === false && (ttl ?? 1) > 0) throw refusedWrite(this.name)
      this.#written.delete(key)
      this.#written.add(key)
      evictOver(this.#written, MAX_WRITTEN)
      return this.#note(key, digest, expiresAt)
    })
  }

  /**
   * A store may keep what has expired: where it costs nothing, the companion stays to say so.
   * @param writtenAt 0: now
   */
  #note(key: string, digest: string, expiresAt: number, writtenAt = 0): MaybePromise<WriteResult> {
    const ends = this.shared && expiresAt !== NEVER
    const companion = {
      payload: `${expiresAt}|${digest}|${writtenAt}`,
      expiresAt: ends ? Math.max(expiresAt, this.now()) + this.tombstoneTtl : NEVER,
    }
    const options = { expect: ANY, within: Number.POSITIVE_INFINITY }
    return this.#companions.write(companionOf(key), companion, options)
  }

  #unreadable(stored: unknown): Cell {
    this.foreign += 1
    if (this.foreign === 1) this.#warnings.tell(foreignValue(this.name, stored))
    return { ...ABSENT, token: UNREADABLE }
  }
}

export function refusedWrite(name: string): SwitchbackError {
  return new SwitchbackError('SB_STORE_FAILED', `The store of ${name} refused a write.`, {
    hint: 'Keyv reports the reason in its `error` event, or throws it with `throwOnErrors`.',
  })
}

function foreignValue(name: string, stored: unknown): SwitchbackError {
  const kind = typeof stored === 'object' ? (stored?.constructor.name ?? 'null') : typeof stored
  return new SwitchbackError(
    'SB_STORE_FOREIGN',
    `The store of ${name} has values that the codec cannot read, such as a ${quote(kind)}. Reads leave them as they are: a read of such a key loads, and what it loads is kept by the other side only. A set or delete of the key replaces or deletes what is there.`,
    {
      hint: 'Give adaptCache a `codec` that turns them into text and back. health() counts how often it happens.',
    },
  )
}

/** @throws SwitchbackError `SB_KEY_INVALID`, `SB_KEY_TOO_LONG` */
function companionOf(key: string): string {
  return COMPANIONS + storageKey(key)
}
