/** A cache whose every answer is held against the truth. */
import { now } from './truth.mjs'

const FROM_FAR = ['all', 'later', 'machine', 'process']

export class OriginDown extends Error {}

export class CheckedCache {
  #parts
  #loads = 0
  /** Milliseconds of each operation since somebody looked. */
  took = []

  /** `parts`: options, truth, counters, notes, stopwatch */
  constructor(parts) {
    this.#parts = parts
  }

  /**
   * The newest version that a read which begins from now on has to respect. To be asked before the event
   * loop turns: see docs/guarantees.md.
   */
  fresh(cache, key) {
    const { truth } = this.#parts
    return Math.max(truth.acknowledged(this.#row(cache, key)), truth.acknowledged(this.#row(cache)))
  }

  /** What this process itself has acknowledged: valid at once. */
  freshHere(cache, key) {
    const { truth } = this.#parts
    const [one, all] = [this.#row(cache, key), this.#row(cache)]
    return Math.max(truth.acknowledgedHere(one), truth.acknowledgedHere(all))
  }

  /** Each cache has a row for each key, and one for `clear`. */
  #row(cache, key) {
    const { keys, names } = this.#parts.options
    const first = names.indexOf(cache) * (keys.length + 1)
    return first + (key === undefined ? keys.length : keys.indexOf(key))
  }

  /** Counts, times and bounds an operation. `work` gets what the hooks tell. */
  async run(name, key, boundMs, work) {
    const { counters, notes, stopwatch } = this.#parts
    const seen = { side: '', servedBy: '', outcome: '', reach: 'all' }
    const hooks = {
      onOperation: (info) => {
        if (FROM_FAR.indexOf(info.reach) > FROM_FAR.indexOf(seen.reach)) seen.reach = info.reach
        seen.side = info.side
        seen.servedBy = info.servedBy
        seen.outcome = info.outcome
      },
    }
    const started = stopwatch.start()
    let late = false
    const watch = setInterval(() => {
      if (late || stopwatch.since(started) < boundMs) return
      late = true
      notes.find('slow', { key, name, boundMs })
    }, 500)
    try {
      return await work(hooks, seen)
    } finally {
      clearInterval(watch)
      const ms = stopwatch.since(started)
      counters.add('operations')
      counters.atLeast('slowestUs', Math.round(ms * 1000))
      this.took.push(performance.now() - started.at)
      if (ms > boundMs && !late) notes.find('slow', { key, name, boundMs, ms })
      else if (ms > boundMs / 3) notes.log('took', key, name, Math.round(ms), seen.side)
    }
  }

  /** A write is acknowledged: to all, or as one that nobody else was told of. */
  #acknowledged(view, row, at, reach) {
    const { truth, options } = this.#parts
    if (options.aloneAt?.includes(reach) !== true) truth.publish(row, at)
    // Its switch was closed meanwhile: nobody knows of it any more.
    else if (view.current()) truth.keep(row, at)
  }

  async set(view, key, ttl, pad) {
    const { truth, counters, notes, options } = this.#parts
    const at = now()
    const n = truth.beginSet(at)
    const value = { k: key, c: view.name, w: options.index, n, at, ms: 0, ttl, pad }
    notes.log('set?', key, `set ${options.index}.${n}`, `ttl ${ttl}`)
    await this.run('set', key, options.boundMs, async (hooks, seen) => {
      await view.for(hooks).set(key, value, ttl === 0 ? {} : { ttl })
      truth.endSet(n, now())
      this.#acknowledged(view, this.#row(view.name, key), at, seen.reach)
      counters.add('writes')
      notes.log('set', key, `set ${options.index}.${n}`, seen.side, seen.servedBy, seen.reach)
    })
  }

  async delete(view, keys) {
    const { counters, notes, options } = this.#parts
    const at = now()
    for (const key of keys) notes.log('delete?', key, `v${at}`)
    await this.run('delete', keys[0], options.boundMs, async (hooks, seen) => {
      const cache = view.for(hooks)
      await (keys.length === 1 ? cache.delete(keys[0]) : cache.deleteMany(keys))
      for (const key of keys) {
        this.#acknowledged(view, this.#row(view.name, key), at, seen.reach)
        notes.log('delete', key, `v${at}`, seen.side, seen.servedBy, seen.reach)
      }
      counters.add('writes')
    })
  }

  async clear(view) {
    const { counters, notes, options } = this.#parts
    const at = now()
    const untold = view.untold()
    notes.log('clear?', '', `v${at}`)
    await this.run('clear', '', options.boundMs * 4, async (hooks) => {
      await view.for(hooks).clear()
      // An event says that only this process knows, or this machine.
      const reach = view.untold() > untold ? 'process' : 'all'
      this.#acknowledged(view, this.#row(view.name), at, reach)
      counters.add('writes')
      notes.log('clear', '', `v${at}`)
    })
  }

  /**
   * What a read that begins now has to respect. `before`: see {@link fresh}. What this process itself has acknowledged
   * is asked for only now: a switch that was replaced meanwhile has taken with it what it alone knew.
   */
  #begin(view, key, before) {
    const freshHere = this.freshHere(view.name, key)
    return { from: now(), fresh: Math.max(before, freshHere), freshHere }
  }

  async get(view, key, before) {
    const began = this.#begin(view, key, before)
    await this.run('get', key, this.#parts.options.boundMs, async (hooks, seen) => {
      const value = await view.for(hooks).get(key)
      this.#check(view, key, began, value, seen)
    })
  }

  /** `plan`: how long the load takes, what it does meanwhile, whether it fails */
  async getOrSet(view, key, before, plan, signal) {
    const { counters, notes, options } = this.#parts
    const began = this.#begin(view, key, before)
    const { ttl } = plan
    let mine
    const load = async () => {
      counters.add('loads')
      if (plan.lateOrigin) await plan.work()
      const at = now()
      this.#loads += 1
      mine = { k: key, c: view.name, w: options.index, n: -this.#loads, at, ms: 0, ttl }
      notes.log('load', key, `load ${options.index}.${mine.n}`)
      if (!plan.lateOrigin) await plan.work()
      mine.ms = Math.ceil((now() - at) / 1000)
      if (plan.fails) throw new OriginDown('the origin is down')
      return { ...mine, pad: plan.pad }
    }
    await this.run('getOrSet', key, options.boundMs + plan.allowMs, async (hooks, seen) => {
      try {
        const given = { ...(ttl === 0 ? {} : { ttl }), ...(signal ? { signal } : {}) }
        const value = await view.for(hooks).getOrSet(key, load, given)
        this.#check(view, key, began, value, seen, mine)
      } catch (error) {
        // Of this load, or of another's that it joined.
        if (error instanceof OriginDown) counters.add('rejected')
        else if (signal?.aborted) counters.add('aborted')
        else throw error
      }
    })
  }

  /** `began`: when the read did, and what it had to respect then. */
  #check(view, key, began, value, seen, mine) {
    const { from, fresh } = began
    const { counters, notes, truth, options } = this.#parts
    counters.add('reads')
    if (value === undefined) {
      counters.add('misses')
      return
    }
    const { k, c, w, n, at, ms, ttl } = value
    const read = { key, ...began, value: { k, c, w, n, at, ms, ttl }, ...seen }
    notes.log(
      'read',
      key,
      `${n < 0 ? 'load' : 'set'} ${w}.${n} of v${at}`,
      seen.side,
      seen.servedBy,
    )
    if (mine === undefined || mine.n !== n) counters.add('checked')
    if (seen.side !== seen.servedBy) counters.add('moved')
    if (k !== key || c !== view.name) return notes.find('foreign', read)
    const expiry = at + (ms + ttl + options.expirySlackMs) * 1000
    if (ttl > 0 && from > expiry) notes.find('outlived', read)
    if (at >= fresh) return
    const rows = [this.#row(view.name, key), this.#row(view.name)]
    read.freshAt = Math.max(...rows.map((row) => truth.acknowledgedAt(row, fresh)))
    if (n < 0) return notes.find('stale', { ...read, until: at })
    const end = truth.setEnd(w, n)
    if (end <= 0) notes.find('unacknowledged', read)
    else if (end < fresh) notes.find('stale', { ...read, until: end })
  }
}
