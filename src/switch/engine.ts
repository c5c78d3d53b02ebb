import { type Entry, NEVER, parseTtl, type Ttl } from '../cache/index.ts'
import type { GetOrSetOptions, Loader, SetOptions } from '../cache/index.ts'
import type { Decider, Decision, DecisionContext } from '../flags/index.ts'
import type { Side } from '../side.ts'
import type { Operation, Recorder } from '../telemetry/index.ts'
import type { Background } from './background.ts'
import { type Codec, encodeValue } from './codec.ts'
import type { Coherence } from './coherence.ts'
import type { Debts } from './debts.ts'
import type { Notify } from './events.ts'
import type { Flights } from './flights.ts'
import { type GuardedSide, oneLine } from './guarded-side.ts'
import { abortable } from './abortable.ts'
import { checkKey } from './key.ts'
import { type OnOperation, PinnedOperation } from './operation.ts'
import type { StandbyPolicy } from './options.ts'
import type { Origin } from './origin.ts'
import { RepeatMisses } from './repeat-misses.ts'
import { type PolicyWatch, unusedSide } from './standby-policy.ts'

/** On whose behalf an operation runs, and who wants to know how it went. */
export interface Caller {
  /** Undefined: OpenFeature's transaction context. */
  readonly context: DecisionContext | undefined
  readonly onOperation: OnOperation | undefined
}

export interface EngineParts {
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly decider: Decider
  readonly policy: PolicyWatch
  readonly coherence: Coherence
  readonly debts: Debts
  readonly background: Background
  readonly flights: Flights
  readonly origin: Origin
  readonly recorder: Recorder
  readonly notify: Notify
  readonly codec: Codec
  readonly maxValueBytes: number
  readonly defaultTtl: Ttl | undefined
  readonly compareShare: number
}

/** The way of each operation: who asks, which side, run there, miss, failure, record. */
export class Engine {
  readonly #parts: EngineParts
  readonly #repeatMisses: Readonly<Record<Side, RepeatMisses>> = {
    off: new RepeatMisses(),
    on: new RepeatMisses(),
  }

  constructor(parts: EngineParts) {
    this.#parts = parts
  }

  get<T>(caller: Caller, key: string): Promise<T | undefined> {
    return this.#readOnly<T>('get', caller, key)
  }

  async has(caller: Caller, key: string): Promise<boolean> {
    return (await this.#readOnly('has', caller, key)) !== undefined
  }

  async set(caller: Caller, key: string, value: unknown, options?: SetOptions): Promise<void> {
    checkKey(key)
    const { codec, maxValueBytes } = this.#parts
    const payload = encodeValue(codec, value, maxValueBytes)
    const ttlMs = this.#ttlOf(options)
    const op = await this.#begin('set', caller, key)
    const entry = this.#entry(payload, ttlMs)
    if (op.single) await this.#parts.policy.keepMark(op.policy)
    const { activeToken, standbyToken } = await this.#parts.coherence.store(op, entry)
    this.#parts.recorder.bytes(op.active.side, 'written', payload.length)
    this.#noteStored(op, ttlMs)
    if (op.mirrored && activeToken !== '' && standbyToken !== '') {
      this.#parts.background.mirror(op, entry, activeToken, standbyToken)
    }
    this.#finish(op, caller)
  }

  async getOrSet<T>(
    caller: Caller,
    key: string,
    load: Loader<T>,
    options?: GetOrSetOptions,
  ): Promise<T> {
    checkKey(key)
    options?.signal?.throwIfAborted()
    const ttlMs = this.#ttlOf(options)
    const pinned = this.#begin('getOrSet', caller, key)
    const op = pinned instanceof Promise ? await pinned : pinned
    try {
      if (await this.#parts.coherence.read(op)) {
        const value = this.#decode<T>(op)
        if (value !== undefined) return value
      }
      const flight = this.#flight(op, load, ttlMs)
      return await (options?.signal === undefined ? flight : abortable(flight, options.signal))
    } finally {
      this.#finish(op, caller)
    }
  }

  async delete(caller: Caller, key: string): Promise<boolean> {
    checkKey(key)
    const op = await this.#begin('delete', caller, key)
    if (op.single) await this.#parts.policy.keepMark(op.policy)
    const existed = await this.#parts.coherence.erase(op)
    this.#repeatMisses.off.dropped(key)
    this.#repeatMisses.on.dropped(key)
    this.#finish(op, caller)
    return existed
  }

  /** Empties both sides, whoever asks. What a side cannot empty is distrusted instead. */
  async clear(): Promise<void> {
    const { sides, debts } = this.#parts
    await Promise.all(
      Object.values(sides).map(async (side) => {
        try {
          if (!side.usable) throw new Error('the side is out')
          // So that no load that began before it is stored after it.
          await debts.fence(side.side, 'cleared', side.backend.now())
          await side.backend.clear()
        } catch (error) {
          await debts.fence(side.side, `clear failed: ${oneLine(error)}`)
        }
      }),
    )
  }

  async #readOnly<T>(
    operation: 'get' | 'has',
    caller: Caller,
    key: string,
  ): Promise<T | undefined> {
    checkKey(key)
    const { coherence } = this.#parts
    const pinned = this.#begin(operation, caller, key)
    const op = pinned instanceof Promise ? await pinned : pinned
    let value: T | undefined
    if ((await coherence.read(op)) || (await this.#missed(op))) value = this.#decode<T>(op)
    this.#finish(op, caller)
    return value
  }

  #missed(op: PinnedOperation): Promise<boolean> {
    this.#noteMiss(op)
    return this.#parts.coherence.takeOver(op, op.operation === 'getOrSet' && op.mirrored)
  }

  /** Everyone who misses the same cell waits for the same load; each gets a value of their own. */
  async #flight<T>(op: PinnedOperation, load: Loader<T>, ttlMs: number): Promise<T> {
    const joinedAt = performance.now()
    let leader = false
    const start = (): Promise<Loaded<T>> => {
      leader = true
      return this.#load(op, load, ttlMs)
    }
    // Where neither side can be trusted with the key, no token tells an old load from a new one.
    const loaded = await (op.place === undefined
      ? start()
      : this.#parts.flights.join(`${op.place.side}:${op.cell.token}:${op.key}`, start))
    if (!leader) {
      op.servedBy = loaded.servedBy
      op.loadMs = performance.now() - joinedAt
    }
    if (loaded.payload === undefined) return loaded.value as T
    return this.#parts.codec.decode(loaded.payload) as T
  }

  async #load<T>(op: PinnedOperation, load: Loader<T>, ttlMs: number): Promise<Loaded<T>> {
    const { coherence, origin, recorder, background } = this.#parts
    const missed = op.cell
    if (await this.#missed(op)) {
      const value = this.#decode<T>(op)
      if (value !== undefined) {
        return { payload: op.cell.payload, value, servedBy: op.servedBy }
      }
    }
    op.cell = missed
    const { side } = op.active
    const startedAt = performance.now()
    let value: T
    try {
      value = await origin.load(load)
    } catch (error) {
      op.loadMs = performance.now() - startedAt
      recorder.originLoad(side, op.loadMs, false)
      throw error
    }
    op.loadMs = performance.now() - startedAt
    op.servedBy = 'origin'
    recorder.originLoad(side, op.loadMs, true)
    const payload = this.#encodeLoaded(value)
    if (payload === undefined) return { payload, value, servedBy: 'origin' }
    const entry = this.#entry(payload, ttlMs)
    const token = await coherence.fill(op, entry, op.loadMs)
    if (token !== '') {
      this.#noteStored(op, ttlMs)
      const seen = op.standbyCell
      if (op.mirrored && op.place === op.active && seen !== undefined) {
        background.mirror(op, entry, token, seen.token)
      }
    }
    return { payload, value, servedBy: 'origin' }
  }

  /** A loaded value that cannot be cached is still the answer. */
  #encodeLoaded(value: unknown): string | undefined {
    if (value === undefined) return undefined
    try {
      return encodeValue(this.#parts.codec, value, this.#parts.maxValueBytes)
    } catch (error) {
      this.#parts.notify({ type: 'value-not-cached', detail: oneLine(error) })
      return undefined
    }
  }

  /** Undefined for a payload that another version or another codec wrote: a miss. */
  #decode<T>(op: PinnedOperation): T | undefined {
    const { payload } = op.cell
    let value: T
    try {
      value = this.#parts.codec.decode(payload) as T
    } catch {
      op.outcome = 'miss'
      op.servedBy = 'none'
      return undefined
    }
    this.#parts.recorder.bytes(op.active.side, 'read', payload.length)
    if (op.policy === 'compare' && op.place === op.active && op.outcome === 'hit') {
      if (Math.random() < this.#parts.compareShare) this.#parts.background.compare(op)
    }
    return value
  }

  /** Pins policy and decision. A promise only when one of them is not at hand. */
  #begin(
    operation: Operation,
    caller: Caller,
    key: string,
  ): PinnedOperation | Promise<PinnedOperation> {
    const policy = this.#parts.policy.current()
    return typeof policy === 'string'
      ? this.#pin(operation, caller, key, policy)
      : policy.then((changed) => this.#pin(operation, caller, key, changed))
  }

  #pin(
    operation: Operation,
    caller: Caller,
    key: string,
    policy: StandbyPolicy,
  ): PinnedOperation | Promise<PinnedOperation> {
    const unused = unusedSide(policy)
    if (unused !== undefined) {
      return this.#pinTo(operation, caller, key, ONLY[unused === 'on' ? 'off' : 'on'], policy)
    }
    const decided = this.#parts.decider.decide(caller.context)
    return decided instanceof Promise
      ? decided.then((decision) => this.#pinTo(operation, caller, key, decision, policy))
      : this.#pinTo(operation, caller, key, decided, policy)
  }

  #pinTo(
    operation: Operation,
    caller: Caller,
    key: string,
    decision: Decision,
    policy: StandbyPolicy,
  ): PinnedOperation {
    const { sides, recorder, decider } = this.#parts
    const { side, variant, reason, source } = decision
    recorder.decision(side, variant, reason, source)
    const bucket = recorder.bucketOf(decider.targetingKeyOf(caller.context))
    const other = side === 'on' ? 'off' : 'on'
    return new PinnedOperation(operation, key, decision, sides[side], sides[other], policy, bucket)
  }

  #finish(op: PinnedOperation, caller: Caller): void {
    op.finish(this.#parts.recorder, caller.onOperation)
  }

  #noteMiss(op: PinnedOperation): void {
    if (op.outcome !== 'miss' || op.cell.state !== 'absent') return
    if (this.#repeatMisses[op.active.side].isRepeat(op.key, Date.now())) {
      this.#parts.recorder.event(op.active.side, 'repeat_miss', op.bucket)
    }
  }

  #noteStored(op: PinnedOperation, ttlMs: number): void {
    const { side } = op.active
    this.#repeatMisses[side === 'on' ? 'off' : 'on'].dropped(op.key)
    if (op.outcome === 'stored' || op.outcome === 'miss') {
      this.#repeatMisses[side].stored(op.key, ttlMs, Date.now())
    }
  }

  #ttlOf(options: SetOptions | undefined): number {
    const ttl = options?.ttl ?? this.#parts.defaultTtl
    return ttl === undefined ? Number.POSITIVE_INFINITY : parseTtl(ttl)
  }

  #entry(payload: string, ttlMs: number): Entry {
    return { payload, expiresAt: Math.min(Date.now() + ttlMs, NEVER) }
  }
}

interface Loaded<T> {
  /** Undefined when the value could not be encoded. */
  readonly payload: string | undefined
  readonly value: T
  readonly servedBy: PinnedOperation['servedBy']
}

const ONLY: Readonly<Record<Side, Decision>> = {
  off: { side: 'off', variant: 'off', reason: 'STATIC', errorCode: '', source: 'default' },
  on: { side: 'on', variant: 'on', reason: 'STATIC', errorCode: '', source: 'default' },
}
