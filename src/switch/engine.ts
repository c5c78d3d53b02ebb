import type { GetOrSetOptions, Loader, SetOptions } from '../cache/index.ts'
import type { Side } from '../side.ts'
import type { Losses, Recorder } from '../telemetry/index.ts'
import { abortable } from './abortable.ts'
import type { Background } from './background.ts'
import type { Coherence } from './coherence.ts'
import type { Debts } from './debts.ts'
import { SwitchbackError } from '../errors.ts'
import { type GuardedSide, oneLine } from './guarded-side.ts'
import { checkKey } from './key.ts'
import type { Loads } from './loads.ts'
import type { PinnedOperation } from './operation.ts'
import type { Caller, Pinning } from './pinning.ts'
import type { Values } from './values.ts'

export interface EngineParts {
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly pinning: Pinning
  readonly coherence: Coherence
  readonly loads: Loads
  readonly losses: Losses | undefined
  readonly debts: Debts
  readonly background: Background
  readonly values: Values
  readonly recorder: Recorder
  readonly compareShare: number
}

/** The way of each operation: who asks, which side, run there, miss, failure, record. */
export class Engine {
  readonly #parts: EngineParts
  /** Writes that are not acknowledged yet. */
  readonly #writing = new Set<Promise<unknown>>()
  #closed = false

  constructor(parts: EngineParts) {
    this.#parts = parts
  }

  get<T>(caller: Caller, key: string): Promise<T | undefined> {
    return this.#readOnly<T>('get', caller, key)
  }

  async has(caller: Caller, key: string): Promise<boolean> {
    return (await this.#readOnly('has', caller, key)) !== undefined
  }

  set(caller: Caller, key: string, value: unknown, options?: SetOptions): Promise<void> {
    return this.#write(() => this.#set(caller, key, value, options))
  }

  delete(caller: Caller, key: string): Promise<boolean> {
    return this.#write(() => this.#delete(caller, key))
  }

  /** Empties both sides, whoever asks. What a side cannot empty is distrusted instead. */
  clear(): Promise<void> {
    return this.#write(() => this.#clear())
  }

  /** From now on everything is refused. Resolves when all writes under way are acknowledged. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#writing)
  }

  async #write<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseIfClosed()
    const writing = work()
    this.#writing.add(writing)
    try {
      return await writing
    } finally {
      this.#writing.delete(writing)
    }
  }

  async #set(caller: Caller, key: string, value: unknown, options?: SetOptions): Promise<void> {
    checkKey(key)
    const { values, pinning, coherence, loads, background, losses, recorder } = this.#parts
    const payload = values.encode(value)
    const ttlMs = values.ttlOf(options)
    const op = await pinning.begin('set', caller, key)
    const entry = values.entry(payload, ttlMs)
    const { activeToken, standbyToken } = await coherence.store(op, entry)
    recorder.bytes(op.active.side, 'written', payload.length)
    loads.changed(key)
    if (activeToken === '') losses?.dropped(key)
    else losses?.stored(op.active.side, key, ttlMs)
    if (op.mirrored && activeToken !== '' && standbyToken !== '') {
      background.mirror(op, entry, activeToken, standbyToken)
    }
    op.finish(recorder, caller.onOperation)
  }

  async getOrSet<T>(
    caller: Caller,
    key: string,
    load: Loader<T>,
    options?: GetOrSetOptions,
  ): Promise<T> {
    this.#refuseIfClosed()
    checkKey(key)
    options?.signal?.throwIfAborted()
    const { values, pinning, coherence, loads, recorder } = this.#parts
    const ttlMs = values.ttlOf(options)
    const pinned = pinning.begin('getOrSet', caller, key)
    const op = pinned instanceof Promise ? await pinned : pinned
    try {
      if (await coherence.read(op)) {
        const value = this.#valueOf<T>(op)
        if (value !== undefined) return value
      }
      const loading = loads.load(op, load, ttlMs)
      return await (options?.signal === undefined ? loading : abortable(loading, options.signal))
    } finally {
      op.finish(recorder, caller.onOperation)
    }
  }

  async #delete(caller: Caller, key: string): Promise<boolean> {
    checkKey(key)
    const { pinning, coherence, loads, losses, recorder } = this.#parts
    const op = await pinning.begin('delete', caller, key)
    const existed = await coherence.erase(op)
    loads.changed(key)
    losses?.dropped(key)
    op.finish(recorder, caller.onOperation)
    return existed
  }

  async #clear(): Promise<void> {
    const { sides, debts } = this.#parts
    await Promise.all(
      Object.values(sides).map(async (side) => {
        try {
          if (!side.usable) throw new Error('the side is out')
          // So that no load that began before it is stored after it.
          await debts.fence(side.side, 'cleared', side.backend.now())
          await side.backend.clear()
          // What was on its way already may have been stored behind the deletion's back.
          await debts.fence(side.side, 'cleared')
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
    this.#refuseIfClosed()
    checkKey(key)
    const { pinning, coherence, loads, recorder } = this.#parts
    const pinned = pinning.begin(operation, caller, key)
    const op = pinned instanceof Promise ? await pinned : pinned
    let value: T | undefined
    if ((await coherence.read(op)) || (await loads.takeOver(op))) value = this.#valueOf<T>(op)
    op.finish(recorder, caller.onOperation)
    return value
  }

  #refuseIfClosed(): void {
    if (!this.#closed) return
    throw new SwitchbackError('SB_CLOSED', 'The cache was closed.', {
      hint: 'Close it after the last operation.',
    })
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
