/** One client of a process: draws operations until the process is told to stop. */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { now } from './truth.mjs'

/** How long a key is everybody's. */
const FOCUS_US = 120_000

/** Mulberry32 on a hash of what the generator is for. */
export function generator(name) {
  let state = 2_166_136_261
  for (const char of name) state = Math.imul(state ^ char.charCodeAt(0), 16_777_619) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

export class Client {
  #cache
  #view
  #options
  #random
  #deck

  /** `view`: `(name, random) => cache for a user of the moment`; `cache`: a CheckedCache */
  constructor({ cache, view, options, random }) {
    this.#cache = cache
    this.#view = view
    this.#options = options
    this.#random = random
    this.#deck = Object.entries(options.mix)
  }

  async operate() {
    const random = this.#random
    const name = this.#draw()
    const key = this.#key()
    const { names } = this.#options
    const at = names[Math.floor(random() * names.length)]
    const fresh = this.#cache.fresh(at, key)
    // A read starts with its turn of the event loop (docs/guarantees.md), so what others acknowledged
    // is asked for a turn before.
    if (this.#options.pauseMs > 0) await delay(random() * this.#options.pauseMs)
    else await nextTurn()
    const view = this.#view(at, random)
    switch (name) {
      case 'get':
        return this.#cache.get(view, key, fresh)
      case 'getOrSet':
        return this.#getOrSet(view, key, fresh, 0)
      case 'slow':
        return this.#getOrSet(view, key, fresh, 0, true)
      case 'nested':
        return this.#getOrSet(view, key, fresh, 1 + Math.floor(random() * 3))
      case 'set':
        await this.#cache.set(view, key, this.#ttl(), this.#pad())
        return this.#readBack(at, key, fresh)
      case 'delete':
        await this.#cache.delete(view, [key])
        return this.#readBack(at, key, fresh)
      case 'deleteMany': {
        const many = Array.from({ length: 1 + Math.floor(random() * 5) }, () => this.#key())
        return this.#cache.delete(view, [...new Set([key, ...many])])
      }
      case 'burst':
        return this.#burst(at, key)
      case 'clear':
        return this.#cache.clear(view)
      default:
        throw new Error(`no such operation: ${name}`)
    }
  }

  /** Somebody sets or loads slowly, and somebody deletes or clears, while others read the key. */
  async #burst(at, key) {
    const random = this.#random
    const { slowMs, clearing } = this.#options
    const first = this.#burstStart(at, key)
    if (random() < 0.5) await first
    await delay(random() * Math.min(slowMs, 300))
    let writing = true
    const reading = Array.from({ length: 2 }, async () => {
      for (let after = 0; after < 3; after += writing ? 0 : 1) {
        const fresh = this.#cache.fresh(at, key)
        await delay(random() * (after === 0 ? 15 : slowMs / 2))
        const view = this.#view(at, random)
        if (random() < 0.7) await this.#cache.get(view, key, fresh)
        else await this.#getOrSet(view, key, fresh, 0)
      }
    })
    try {
      // Else another process does, since all are after the same key.
      const draw = random()
      if (draw < clearing) await this.#cache.clear(this.#view(at, random))
      else if (draw < 0.75) await this.#cache.delete(this.#view(at, random), [key])
    } finally {
      writing = false
    }
    await Promise.all([first, ...reading])
  }

  #burstStart(at, key) {
    const view = this.#view(at, this.#random)
    if (this.#random() < 0.5) return this.#cache.set(view, key, 600_000, '')
    return this.#getOrSet(view, key, this.#cache.fresh(at, key), 0, true, true)
  }

  /** At once, in the same turn, as business code does after a write. */
  async #readBack(at, key, before) {
    if (this.#random() > 0.3) return
    await this.#cache.get(this.#view(at, this.#random), key, before)
  }

  async #getOrSet(view, key, fresh, depth, slow = false, evenly = false) {
    const random = this.#random
    const { slowMs } = this.#options
    const draw = evenly ? random() * slowMs : Math.exp(random() * Math.log(slowMs))
    const ms = slow ? draw : random() < 0.6 ? 0 : random() * 20
    const plan = {
      ttl: this.#ttl(),
      pad: this.#pad(),
      lateOrigin: random() < 0.2,
      fails: random() < 0.03,
      allowMs: 4 * (1 + depth) * (this.#options.mix.slow > 0 ? slowMs : 50),
      work: async () => {
        if (ms > 0) await delay(ms)
        if (depth > 0) await this.#nested(view.name, key, depth)
      },
    }
    const abort = random() < this.#options.aborts ? new AbortController() : undefined
    const timer = abort && setTimeout(() => abort.abort(), random() * 40)
    try {
      await this.#cache.getOrSet(view, key, fresh, plan, abort?.signal)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Keys in ascending order, as a user needs its organisation: circles are the caller's own mistake. */
  async #nested(at, key, depth) {
    const { keys } = this.#options
    const next = keys.indexOf(key) + 1 + Math.floor(this.#random() * 3)
    if (next >= keys.length) return
    const inner = keys[next]
    const fresh = this.#cache.fresh(at, inner)
    await nextTurn()
    await this.#getOrSet(this.#view(at, this.#random), inner, fresh, depth - 1)
  }

  #draw() {
    const total = this.#deck.reduce((sum, [, weight]) => sum + weight, 0)
    let rest = this.#random() * total
    for (const [name, weight] of this.#deck) {
      rest -= weight
      if (rest < 0) return name
    }
    return this.#deck[0][0]
  }

  #key() {
    const { keys } = this.#options
    const random = this.#random
    // Half of the time all processes are after the same key, or after one of those a moment ago.
    if (random() < 0.5) {
      const slot = Math.floor(now() / FOCUS_US) - Math.floor(random() ** 2 * 4)
      return keys[(Math.imul(slot, 2_654_435_761) >>> 8) % keys.length]
    }
    return keys[Math.floor(random() ** 1.5 * keys.length)]
  }

  /** Milliseconds, from one to ten minutes, most of them long; 0: never expires. */
  #ttl() {
    const draw = this.#random()
    if (draw < 0.1) return 0
    if (draw < 1 - this.#options.shortTtls) return 600_000
    return Math.ceil(Math.exp(this.#random() * Math.log(600_000)))
  }

  #pad() {
    const draw = this.#random()
    return draw < 0.9 ? '' : 'x'.repeat(Math.floor(this.#random() * (draw < 0.99 ? 500 : 20_000)))
  }
}
