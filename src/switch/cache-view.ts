import {
  type CacheNamespace,
  checkKey,
  type GetOrSetOptions,
  type Loader,
  type SetOptions,
} from '../cache/index.ts'
import type { Decider, Decision, DecisionContext } from '../flags/index.ts'
import { quote, SwitchbackError } from '../errors.ts'
import { otherSide, type Side } from '../side.ts'
import { type Losses, noTelemetry, type Operation, type Recorder } from '../telemetry/index.ts'
import { abortable } from './reads/abortable.ts'
import type { Background } from './background/background.ts'
import type { CacheView } from './cache-switch.ts'
import type { Coherence } from './truth/coherence.ts'
import type { Debts } from './truth/debts.ts'
import { clearBoth } from './clear.ts'
import { withGrace } from './grace.ts'
import type { GuardedSide } from './sides/guarded-side.ts'
import type { Loads } from './reads/loads.ts'
import { deleteMany, getMany, setMany } from './many.ts'
import { type Generations, NamespaceView } from './namespace.ts'
import { type OnOperation, PinnedOperation } from './operation.ts'
import type { StandbyPolicy } from './options.ts'
import { OPERATION_CHANNEL } from './tracing.ts'
import { closedError, type UnderWay } from './background/under-way.ts'
import type { Values } from './values.ts'

/** The user of an operation, and who receives its result. */
export interface Caller {
  /** Undefined: OpenFeature's transaction context. */
  readonly context: DecisionContext | undefined
  readonly onOperation: OnOperation | undefined
  /** Whatever the flag says. */
  readonly side?: Side
}

export interface ViewParts {
  /** The cache's name. */
  readonly name: string
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly decider: Decider
  readonly policy: { readonly current: StandbyPolicy }
  /** No longer read, whatever the flag says. */
  readonly retired: Side | undefined
  readonly underWay: UnderWay
  readonly coherence: Coherence
  readonly loads: Loads
  readonly generations: Generations
  readonly losses: Losses | undefined
  readonly debts: Debts
  readonly background: Background
  readonly values: Values
  readonly recorder: Recorder
  readonly compareShare: number
}

/** The way of each operation of one caller: which side, run there, miss, failure, record. */
export class CallerView implements CacheView {
  readonly #parts: ViewParts
  readonly #caller: Caller

  constructor(parts: ViewParts, caller: Caller) {
    this.#parts = parts
    this.#caller = caller
  }

  get<T = unknown>(key: string): Promise<T | undefined> {
    if (OPERATION_CHANNEL.hasSubscribers)
      return this.#traced('get', (view) => view.#readOnly('get', key))
    return this.#readOnly<T>('get', key)
  }

  async has(key: string): Promise<boolean> {
    const read = OPERATION_CHANNEL.hasSubscribers
      ? this.#traced('has', (view) => view.#readOnly('has', key))
      : this.#readOnly('has', key)
    return (await read) !== undefined
  }

  getOrSet<T>(key: string, load: Loader<T>, options?: GetOrSetOptions): Promise<T> {
    if (OPERATION_CHANNEL.hasSubscribers) {
      return this.#traced('getOrSet', (view) => view.#getOrSet(key, load, options))
    }
    return this.#getOrSet(key, load, options)
  }

  async #getOrSet<T>(key: string, load: Loader<T>, options?: GetOrSetOptions): Promise<T> {
    const { underWay, values, coherence, loads } = this.#parts
    if (underWay.closed) throw closedError()
    checkKey(key)
    if (typeof load !== 'function') throw noLoader(load)
    options?.signal?.throwIfAborted()
    const ttlMs = values.ttlOf(options)
    const grace = values.graceOf(options)
    const pinned = this.#begin('getOrSet', key)
    const op = pinned instanceof Promise ? await pinned : pinned
    let told = op
    try {
      if (await coherence.read(op)) {
        const value = this.#valueOf<T>(op)
        if (value !== undefined) return value
      }
      const isExpired = op.cell.stale !== undefined
      let loading = loads.load(op, load, ttlMs)
      if (grace !== undefined && isExpired) {
        loading = withGrace(loading, grace, async () => {
          const look = await coherence.readStale(op, grace.graceMs)
          const value = look && this.#valueOf<T>(look)
          if (look === undefined || value === undefined) return undefined
          // The load may go on with its own.
          told = look
          return value
        })
      }
      return await (options?.signal === undefined ? loading : abortable(loading, options.signal))
    } finally {
      this.#finish(told)
    }
  }

  set<T>(key: string, value: T, options?: SetOptions): Promise<void> {
    return this.#write('set', (view) => view.#set(key, value, options))
  }

  delete(key: string): Promise<boolean> {
    return this.#write('delete', (view) => view.#delete(key))
  }

  getMany<T = unknown>(keys: Iterable<string>): Promise<Map<string, T>> {
    return getMany<T>(keys, (key) => this.get<T>(key))
  }

  setMany<T>(entries: Iterable<readonly [string, T]>, options?: SetOptions): Promise<void> {
    return setMany(entries, options, this.#parts.values, (key, payload) =>
      this.#write('set', (view) => view.#store(key, payload, this.#parts.values.ttlOf(options))),
    )
  }

  deleteMany(keys: Iterable<string>): Promise<number> {
    return deleteMany(keys, (key) => this.delete(key))
  }

  namespace(name: string): CacheNamespace {
    const { generations } = this.#parts
    // Not the user's operations, but what could not be told of them is.
    const parts = { ...this.#parts, recorder: noTelemetry, losses: undefined, policy: ON_BOTH }
    const view = new CallerView(parts, { ...this.#caller, side: generations.side })
    return new NamespaceView(this, view, generations, name)
  }

  /** Empties both sides. A side that cannot be emptied is distrusted instead. */
  clear(): Promise<void> {
    const { sides, debts } = this.#parts
    return this.#write('clear', () => clearBoth(Object.values(sides), debts))
  }

  #write<T>(operation: string, work: (view: CallerView) => Promise<T>): Promise<T> {
    const { underWay } = this.#parts
    return OPERATION_CHANNEL.hasSubscribers
      ? this.#traced(operation, (view) => underWay.hold(() => work(view)))
      : underWay.hold(() => work(this))
  }

  /** Does it through a view that also tells the trace what the operation did. */
  #traced<T>(operation: string, work: (view: CallerView) => Promise<T>): Promise<T> {
    const { onOperation } = this.#caller
    const trace = { operation, cache: this.#parts.name }
    const told: OnOperation = (info) => {
      Object.assign(trace, info)
      onOperation?.(info)
    }
    const view = new CallerView(this.#parts, { ...this.#caller, onOperation: told })
    return OPERATION_CHANNEL.tracePromise(() => work(view), trace)
  }

  async #set(key: string, value: unknown, options?: SetOptions): Promise<void> {
    checkKey(key)
    const { values } = this.#parts
    await this.#store(key, values.encode(value), values.ttlOf(options))
  }

  /** Sets the value without an end, or `instead` where the side does not take it. True: the value. */
  setEither(key: string, value: string, instead: string): Promise<boolean> {
    const { values } = this.#parts
    return this.#write('set', (view) =>
      view.#store(key, values.encode(value), Number.POSITIVE_INFINITY, values.encode(instead)),
    )
  }

  async #store(
    key: string,
    payload: string,
    ttlMs: number,
    instead: string = payload,
  ): Promise<boolean> {
    const { values, coherence, loads, background, losses, recorder } = this.#parts
    const op = await this.#begin('set', key)
    const entry = values.entry(payload, ttlMs)
    const other = instead === payload ? entry : values.entry(instead, ttlMs)
    const { activeToken, standbyToken } = await coherence.store(op, entry, other)
    recorder.bytes(op.active.side, 'written', payload.length)
    loads.changed(key)
    if (activeToken === '') losses?.dropped(key)
    else losses?.stored(op.active.side, key, ttlMs)
    if (op.mirrored && activeToken !== '' && standbyToken !== '') {
      background.mirror(op, entry, activeToken, standbyToken)
    }
    this.#finish(op)
    return activeToken !== ''
  }

  async #delete(key: string): Promise<boolean> {
    checkKey(key)
    const { coherence, loads, losses } = this.#parts
    const op = await this.#begin('delete', key)
    const existed = await coherence.erase(op)
    loads.changed(key)
    losses?.dropped(key)
    this.#finish(op)
    return existed
  }

  async #readOnly<T>(operation: 'get' | 'has', key: string): Promise<T | undefined> {
    const { underWay, coherence, loads } = this.#parts
    if (underWay.closed) throw closedError()
    checkKey(key)
    const pinned = this.#begin(operation, key)
    const op = pinned instanceof Promise ? await pinned : pinned
    let value: T | undefined
    if ((await coherence.read(op)) || (await loads.takeOver(op))) value = this.#valueOf<T>(op)
    this.#finish(op)
    return value
  }

  /** Asks once for the user and the side; the answer holds until the operation ends. */
  #begin(operation: Operation, key: string): PinnedOperation | Promise<PinnedOperation> {
    const { decider, retired } = this.#parts
    const side = retired === undefined ? this.#caller.side : otherSide(retired)
    if (side !== undefined) return this.#pin(operation, key, ONLY[side])
    const decided = decider.decide(this.#caller.context)
    return decided instanceof Promise
      ? decided.then((decision) => this.#pin(operation, key, decision))
      : this.#pin(operation, key, decided)
  }

  #pin(operation: Operation, key: string, decision: Decision): PinnedOperation {
    const { sides, recorder, decider, policy, retired } = this.#parts
    const { side, variant, reason, source } = decision
    recorder.decision(side, variant, reason, source)
    const bucket = recorder.bucketOf(decider.targetingKeyOf(this.#caller.context))
    const [active, standby] = side === 'on' ? [sides.on, sides.off] : [sides.off, sides.on]
    const gone = retired !== undefined
    return new PinnedOperation(
      operation,
      key,
      decision,
      active,
      standby,
      policy.current,
      gone,
      bucket,
    )
  }

  #finish(op: PinnedOperation): void {
    op.finish(this.#parts.recorder, this.#caller.onOperation)
  }

  /** A payload that cannot be read is a miss: the next fill replaces it. */
  #valueOf<T>(op: PinnedOperation): T | undefined {
    const { values, recorder, background, compareShare } = this.#parts
    const { payload } = op.cell
    const value = values.decode<T>(payload)
    if (value === undefined) {
      op.outcome = 'miss'
      op.servedBy = 'none'
      return undefined
    }
    recorder.bytes(op.active.side, 'read', payload.length)
    if (op.policy === 'compare' && op.place === op.active && op.outcome === 'hit') {
      if (Math.random() < compareShare) background.compare(op)
    }
    return value
  }
}

function noLoader(given: unknown): SwitchbackError {
  return new SwitchbackError(
    'SB_OPTION_INVALID',
    `getOrSet: the loader cannot be ${quote(given)}`,
    { hint: 'pass a function: getOrSet(key, () => load(), { ttl: "10m" })' },
  )
}

/** While the side that has the generations is out, the other one has the same. */
const ON_BOTH = { current: 'mirror' } as const

/** The decisions without asking the flag. */
const ONLY: Readonly<Record<Side, Decision>> = {
  off: { side: 'off', variant: 'off', reason: 'STATIC', errorCode: '', source: 'default' },
  on: { side: 'on', variant: 'on', reason: 'STATIC', errorCode: '', source: 'default' },
}
