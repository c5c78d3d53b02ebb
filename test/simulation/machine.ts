import { createRequire, syncBuiltinESMExports } from 'node:module'
import { Choices } from './choices.ts'

const require: NodeJS.Require = createRequire(import.meta.url)
const realImmediate: typeof setImmediate = globalThis.setImmediate
/**
 * Runs ticks, microtasks and what is to be told of rejections until nothing is left of them: as Node does behind
 * each of its callbacks. A turn of the real event loop for each event would take most of the time.
 */
const { _tickCallback: settle } = process as unknown as { readonly _tickCallback: () => void }

/** A program of the simulated machine: what happens in it stops with it. */
export interface Owner {
  readonly name: string
  dead: boolean
  /** Nothing happens in it before. */
  frozenUntil: number
}

/** One step at a store, or the end of an operation. */
export interface TraceEvent {
  readonly process: string
  readonly what: 'begins' | 'reads' | 'puts' | 'refused' | 'marks' | 'ends'
  readonly place: 'F' | 'R' | ''
  readonly key: string
  /** The operation, or the value that was read, put or returned. */
  readonly value: string
}

interface Event {
  at: number
  readonly order: number
  readonly owner: Owner | undefined
  readonly run: () => void
  cancelled: boolean
}

/** The beginning of simulated time, an ordinary date. */
const EPOCH = 1_800_000_000_000

/**
 * One deterministic scheduler with simulated time: whatever could happen in another order on a real
 * machine is an event here, and what follows from an event without another one happens before the next.
 */
export class Machine {
  readonly choices: Choices
  /** Milliseconds that have truly passed. */
  now = 0
  /** What the machine's wall clock is ahead of true time. */
  wallOffset = 0
  /** In which program the present event happens. */
  running: Owner | undefined
  /** What happened, for the story; undefined: nobody listens. */
  story: string[] | undefined
  /** Each step at a store, for the model; undefined: nobody listens. */
  trace: TraceEvent[] | undefined
  events = 0
  readonly #heap: Event[] = []
  #order = 0

  constructor(choices: Choices) {
    this.choices = choices
  }

  get wall(): number {
    return EPOCH + this.wallOffset + Math.floor(this.now)
  }

  tell(line: () => string): void {
    this.story?.push(`${String(Math.floor(this.now)).padStart(6)} ms  ${line()}`)
  }

  at(delay: number, run: () => void, owner: Owner | undefined = this.running): Event {
    this.#order += 1
    const event = {
      at: this.now + Math.max(0, delay),
      order: this.#order,
      owner,
      run,
      cancelled: false,
    }
    this.#push(event)
    return event
  }

  /** Resolves after a while, if the program that asks is still there. */
  pause(delay: number): Promise<void> {
    return new Promise((resolve) => {
      this.at(delay, resolve)
    })
  }

  /** Lets everything happen until the given time, or until it is `done`. */
  run(end: number, done: () => boolean): Promise<void> {
    // Node refuses to run microtasks from within one.
    return new Promise((resolve, reject) => {
      realImmediate(() => {
        try {
          this.#run(end, done)
          resolve()
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  #run(end: number, done: () => boolean): void {
    while (!done()) {
      const event = this.#pop()
      if (event === undefined || event.at > end) {
        if (event !== undefined) this.#push(event)
        this.now = end
        return
      }
      if (event.cancelled) continue
      const { owner } = event
      if (owner?.dead === true) continue
      if (owner !== undefined && owner.frozenUntil > event.at) {
        event.at = owner.frozenUntil
        this.#push(event)
        continue
      }
      this.now = Math.max(this.now, event.at)
      this.running = owner
      this.events += 1
      event.run()
      settle()
      this.running = undefined
    }
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.push(event) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!before(event, heap[above]!)) break
      heap[at] = heap[above]!
      at = above
    }
    heap[at] = event
  }

  #pop(): Event | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let below = at * 2 + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && before(heap[below + 1]!, heap[below]!)) below += 1
      if (!before(heap[below]!, last)) break
      heap[at] = heap[below]!
      at = below
    }
    heap[at] = last
    return first
  }
}

function before(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order)
}

/** Stands for a timer; the code under test only ever clears or unrefs it. */
class Timer {
  event: Event

  constructor(event: Event) {
    this.event = event
  }

  unref(): this {
    return this
  }

  ref(): this {
    return this
  }
}

const timers = require('node:timers/promises') as Record<string, unknown>
const crypto = require('node:crypto') as Record<string, unknown>
const { AsyncLocalStorage } = require('node:async_hooks') as typeof import('node:async_hooks')
const contexts = AsyncLocalStorage.prototype
const real = {
  createHash: crypto['createHash'] as typeof import('node:crypto').createHash,
  randomBytes: crypto['randomBytes'],
  randomFillSync: crypto['randomFillSync'],
  runIn: contexts.run,
  getStore: contexts.getStore,
  now: Date.now,
  performanceNow: performance.now.bind(performance),
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  random: Math.random,
  wait: Atomics.wait,
  delay: timers['setTimeout'],
  immediate: timers['setImmediate'],
}

/** Milliseconds of real time, also while simulated time is in its place. */
export const realNow: () => number = real.performanceNow

let current: Machine | undefined
let chance: () => number = Math.random
let nested = false
/** The storages that loads run in. Vitest has others. */
const storages = new Set<{ disable: () => void }>()

export interface Surroundings {
  readonly machine: Machine
  readonly random: () => number
  /** Loads ask a cache themselves: only then does it matter from where. @default true */
  readonly nested?: boolean
}

/**
 * Puts the machine's clock, timers and chance in the place of Node's, also behind what modules have
 * imported, until {@link leave}. (`process.nextTick` and promises stay real: they belong to the event that
 * they follow from.)
 */
export function enter(surroundings: Surroundings): void {
  const entered = current !== undefined
  current = surroundings.machine
  chance = surroundings.random
  nested = surroundings.nested ?? true
  // A program that was killed amid a load leaves its context on, and with it a hook for every promise.
  for (const storage of storages) storage.disable()
  if (entered) return
  const later = (run: (...args: unknown[]) => void, delay = 0, ...args: unknown[]): Timer =>
    new Timer(current!.at(Math.max(1, delay), () => run(...args)))
  Date.now = () => current!.wall
  performance.now = () => current!.now
  Math.random = () => chance()
  globalThis.setTimeout = later as never
  globalThis.clearTimeout = ((timer: Timer | undefined) => {
    if (timer?.event !== undefined) timer.event.cancelled = true
  }) as never
  globalThis.setInterval = ((run: () => void, delay: number) => {
    const timer = new Timer(current!.at(delay, again))
    function again(): void {
      timer.event = current!.at(delay, again)
      run()
    }
    return timer
  }) as never
  globalThis.clearInterval = globalThis.clearTimeout
  globalThis.setImmediate = ((run: () => void) => new Timer(current!.at(0, run))) as never
  // Blocks the program, and so the whole of simulated time.
  Atomics.wait = ((_: unknown, __: number, ___: number, ms: number) => {
    current!.now += ms
    return 'timed-out'
  }) as never
  timers['setTimeout'] = (ms: number) => current!.pause(Math.max(1, ms))
  timers['setImmediate'] = () => current!.pause(0)
  crypto['createHash'] = (algorithm: string) => new Digest(algorithm)
  crypto['randomFillSync'] = fill
  crypto['randomBytes'] = (size: number) => fill(Buffer.alloc(size))
  contexts.run = function runIn(this: object, store: unknown, ...rest: [never]): never {
    if (typeof store === 'object' && store !== null && 'waitsFor' in store) {
      storages.add(this as never)
      if (!nested) return (rest[0] as () => never)()
    }
    return real.runIn.call(this, store, ...rest) as never
  }
  contexts.getStore = function getStore(this: object) {
    return !nested && storages.has(this as never) ? undefined : real.getStore.call(this as never)
  }
  syncBuiltinESMExports()
}

const digests = new Map<string, string>()

/** The same few texts are hashed again and again: the server's name at each look at it. */
class Digest {
  readonly #algorithm: string
  #text: string | Buffer = ''

  constructor(algorithm: string) {
    this.#algorithm = algorithm
  }

  update(text: string | Buffer): this {
    this.#text = text
    return this
  }

  digest(encoding: 'hex' | 'base64' | 'base64url'): string {
    const text = this.#text
    const make = (): string => real.createHash(this.#algorithm).update(text).digest(encoding)
    if (typeof text !== 'string') return make()
    const name = `${this.#algorithm} ${encoding} ${text}`
    const known = digests.get(name) ?? make()
    if (digests.size < 1000) digests.set(name, known)
    return known
  }
}

let drawn = false

/** Does it until bytes of chance are asked for: what was drawn in advance is used up. */
export function untilDrawn(work: () => unknown): void {
  drawn = false
  for (let i = 0; i < 10_000; i += 1) {
    work()
    if (drawn) return
  }
}

/** Chance for whoever asks for bytes of it. */
function fill(bytes: Buffer): Buffer {
  drawn = true
  let bits = 0
  for (let i = 0; i < bytes.length; i += 1, bits >>>= 8) {
    if (i % 4 === 0) bits = Math.floor(chance() * 4_294_967_296)
    bytes[i] = bits & 255
  }
  return bytes
}

/** Real time again. */
export function leave(): void {
  if (current === undefined) return
  current = undefined
  Date.now = real.now
  performance.now = real.performanceNow
  Math.random = real.random
  Atomics.wait = real.wait
  globalThis.setTimeout = real.setTimeout
  globalThis.clearTimeout = real.clearTimeout
  globalThis.setInterval = real.setInterval
  globalThis.clearInterval = real.clearInterval
  globalThis.setImmediate = real.setImmediate
  timers['setTimeout'] = real.delay
  timers['setImmediate'] = real.immediate
  crypto['createHash'] = real.createHash
  crypto['randomFillSync'] = real.randomFillSync
  crypto['randomBytes'] = real.randomBytes
  contexts.run = real.runIn
  contexts.getStore = real.getStore
  syncBuiltinESMExports()
}
