import { createHash } from 'node:crypto'
import type { Side } from '../../src/side.ts'
import { PlainNames } from '../../src/cache/redis/plain/plain-names.ts'
import { ERA_AT, EXPIRES_AT } from '../../src/cache/envelope.ts'
import type { Machine } from './machine.ts'
import type { OutsiderPlan } from './plan.ts'
import { LuaError } from './lua-library.ts'
import type { RedisServer } from './redis-server.ts'
import type { Truth } from './truth.ts'

/** What stands before every key. */
export const PREFIX = 'sim:'

const names = new PlainNames(PREFIX, '')
const KEYS = ['k', 'l']

/** How a side kept in plain values was when a read began there. */
export interface PlainView {
  readonly floor: Floor
  /** Counts whatever changed the value. */
  readonly changes: number
  readonly raw: string | undefined
  /** Of {@link Outsiders.writes}. */
  readonly acts: number
}

interface Floor {
  /** Nothing older may be seen, whatever was distrusted meanwhile. */
  readonly there: number
  /** The same, for as long as nothing of the side was distrusted. */
  readonly traced: number
}

interface Suspect {
  readonly side: Side
  readonly problem: string
}

/**
 * Programs without the switch, beside plain values in Redis: what they write and delete, and what is true of it
 * (docs/guarantees.md, "Plain values"). What they write is born, and acknowledged, when Redis takes it.
 *
 * - While their value is there, who is answered by that side sees nothing older, and nothing older is put over it.
 * - When it is gone, the same holds as long as a companion of the present era has seen it.
 */
export class Outsiders {
  readonly #machine: Machine
  readonly #truth: Truth
  readonly #report: (problem: string) => void
  readonly #servers = new Map<Side, RedisServer>()
  /** Of each text of theirs, when it was written. */
  readonly #texts = new Map<string, number>()
  /** By side and key: what companions have seen of theirs. */
  readonly #traced = new Map<string, number>()
  readonly #changes = new Map<string, number>()
  /** By side and text: what they deleted, as which of their acts. */
  readonly #deleted = new Map<string, number>()
  /** A side has lost traces that no fence tells. */
  readonly #forgot = new Set<Side>()
  /** How many writes of the switch are under way. */
  readonly #writing = new Map<string, number>()
  readonly #fenced = new Set<Side>()
  readonly #suspects: Suspect[] = []
  /** Keys whose expiry they have changed. */
  readonly #dated = new Set<string>()
  /** A side came back from before it was adopted: see the table. */
  readonly #unadopted = new Set<Side>()
  writes = 0

  constructor(machine: Machine, truth: Truth, report: (problem: string) => void) {
    this.#machine = machine
    this.#truth = truth
    this.#report = report
  }

  /** @param side is kept in plain values from now on */
  adopt(side: Side, server: RedisServer): void {
    this.#servers.set(side, server)
    for (const key of KEYS) {
      const [value, companion] = namesOf(key)
      server.data.watch(value, (text) => this.#valueSet(side, key, text))
      server.data.watch(companion, (text) => this.#companionSet(side, key, text))
    }
  }

  /** One of them does something. What Redis does not take just now, it does not do later. */
  act({ act, key, ttl, side }: OutsiderPlan): void {
    const server = this.#servers.get(side)
    if (server === undefined || !server.up || this.#machine.now < server.hungUntil) return
    const [name] = namesOf(key)
    const before = server.data.peek(name)
    const traced = before !== undefined && this.#isTraced(side, key, before)
    const dated = ttl === 0 ? [] : ['PX', String(ttl)]
    try {
      if (act === 'set') {
        const { at, version } = this.#truth.begin(key)
        const value = this.#truth.valueOf(key, version, ' of another')
        const text = JSON.stringify(value)
        this.#texts.set(text, at)
        server.data.execute('SET', [name, text, ...dated])
        this.#truth.born(value)
        this.#told(side, `writes ${value} to ${key}`)
      } else if (act === 'repeat') {
        // The text that is there already: nobody can tell it from that.
        if (before === undefined) return
        this.#dated.add(key)
        server.data.execute('SET', [name, before, ...dated])
        this.#truth.bornAgain(JSON.parse(before) as string)
        this.#told(side, `writes what is there to ${key}`)
      } else if (act === 'delete') {
        const { at } = this.#truth.begin(key)
        server.data.execute('DEL', [name])
        if (traced) this.#see(side, key, at)
        if (before !== undefined && this.#texts.has(before)) {
          this.#deleted.set(`${side} ${before}`, this.writes)
        }
        this.#told(side, `deletes ${key} (${before ?? 'nothing'})`)
      } else {
        this.#dated.add(key)
        if (ttl > 0) server.data.execute('PEXPIRE', [name, String(ttl)])
        else server.data.execute('PERSIST', [name])
        this.#told(side, ttl > 0 ? `lets ${key} expire in ${ttl} ms` : `lets ${key} live for ever`)
      }
      this.writes += 1
      this.#changed(side, key)
    } catch (error) {
      if (!(error instanceof LuaError)) throw error
      this.#told(side, `is refused: ${error.message}`)
    }
  }

  /** A process with the switch writes: what it notes as pending meanwhile, a read may come to hear of. */
  async writing<T>(keys: readonly string[], write: () => Promise<T>): Promise<T> {
    const count = (by: number): void => {
      for (const key of keys) this.#writing.set(key, (this.#writing.get(key) ?? 0) + by)
      for (const key of keys) for (const side of this.#servers.keys()) this.#changed(side, key)
    }
    count(1)
    const result = await write()
    count(-1)
    return result
  }

  /** Redis gives a value or a companion up by itself. */
  evict(side: Side, key: string, whole: boolean): boolean {
    const [value, companion] = namesOf(key)
    this.#changed(side, key)
    if (!whole) this.#forgot.add(side)
    return this.#servers.get(side)!.data.delete(whole ? value : companion)
  }

  /** The side has another past now. */
  lost(side: Side): void {
    this.#forgot.add(side)
    for (const key of KEYS) {
      this.#traced.delete(`${side} ${key}`)
      this.#changed(side, key)
    }
    if (this.#eraOf(side) === undefined) this.#unadopted.add(side)
  }

  fenced(side: Side): void {
    this.#fenced.add(side)
  }

  look(side: Side, key: string): PlainView | undefined {
    const server = this.#servers.get(side)
    if (server === undefined) return undefined
    const at = `${side} ${key}`
    const raw = server.data.peek(namesOf(key)[0])
    const changes = this.#changes.get(at) ?? 0
    return { floor: this.#floor(side, key), changes, raw, acts: this.writes }
  }

  /** A read of the side, by its own users, that the side itself answered. */
  judge(side: Side, key: string, before: PlainView, value: unknown, outcome: string): void {
    const after = this.look(side, key)!
    if (value !== undefined) {
      const there = Math.min(before.floor.there, after.floor.there)
      const traced = Math.min(before.floor.traced, after.floor.traced)
      const older = `a read of ${key} by a user of the plain ${side} side returned ${String(value)}`
      if (this.#truth.isOlder(value, there)) {
        this.#report(`STALE (plain): ${older}, which is older than what another program has there`)
      } else if (this.#truth.isOlder(value, traced)) {
        const problem = `STALE (traced): ${older}, which is older than what another program did there`
        this.#suspects.push({ side, problem })
      }
    }
    const deleted =
      this.#deleted.get(`${side} ${JSON.stringify(value)}`) ?? Number.POSITIVE_INFINITY
    if (deleted < before.acts && !this.#forgot.has(side)) {
      const problem = `RETURNED: a read of ${key} by a user of the plain ${side} side found ${String(value)}, which another program has deleted there`
      this.#suspects.push({ side, problem })
    }
    const stood =
      before.changes === after.changes && before.raw !== undefined && before.raw === after.raw
    const written = (this.#writing.get(key) ?? 0) > 0
    if (outcome !== 'miss' || !stood || written || this.#dated.has(key)) return
    const problem = `BLIND: a read of ${key} by a user of the plain ${side} side misses ${String(before.raw)}`
    this.#suspects.push({ side, problem })
  }

  /** Whether an old value may be seen: its deletion was lost with all that a store knew. */
  mayComeBack(value: unknown): boolean {
    return this.#unadopted.size > 0 && this.#texts.has(JSON.stringify(value))
  }

  /** @param undisturbed nothing was distrusted that no event tells */
  *wrong(undisturbed: boolean): Generator<string> {
    for (const { side, problem } of this.#suspects) {
      if (this.#fenced.has(side) || (problem.startsWith('BLIND') && !undisturbed)) continue
      yield problem
    }
  }

  /** Nothing is pending any more: other programs see what is acknowledged, or nothing. */
  *leftBehind(): Generator<string> {
    for (const [side, server] of this.#servers) {
      if (this.#fenced.has(side)) continue
      for (const key of KEYS) {
        const raw = server.data.peek(namesOf(key)[0])
        if (raw === undefined) continue
        const value = JSON.parse(raw) as string
        if (!this.#truth.isOlder(value, this.#truth.floor(key))) continue
        yield `LEFT: other programs read ${value} for ${key} on the ${side} side for good, though a newer write was acknowledged`
      }
    }
  }

  /** Of the switch's scripts and of others. */
  #valueSet(side: Side, key: string, text: string): void {
    this.#changed(side, key)
    if (this.#texts.has(text)) return
    const { there, traced } = this.#floor(side, key)
    const value = JSON.parse(text) as string
    const put = `${value} was put under ${key} on the plain ${side} side`
    if (this.#truth.isOlder(value, there)) {
      this.#report(`OVERWRITTEN: ${put}, over what another program has there, which is newer`)
    } else if (this.#truth.isOlder(value, traced)) {
      const problem = `UNDONE: ${put}, though another program has done something newer`
      this.#suspects.push({ side, problem })
    }
  }

  /** Before the companion changes: what it sees. */
  #companionSet(side: Side, key: string, text: string): void {
    const { data } = this.#servers.get(side)!
    const [value, companion] = namesOf(key)
    this.#changed(side, key)
    if (!data.peek(companion)?.startsWith(this.#eraOf(side) ?? '?', ERA_AT)) {
      this.#traced.delete(`${side} ${key}`)
    }
    const theirs = this.#texts.get(data.peek(value) ?? '')
    if (theirs !== undefined && text.startsWith(this.#eraOf(side) ?? '?', ERA_AT)) {
      this.#see(side, key, theirs)
    }
  }

  #floor(side: Side, key: string): Floor {
    const { data } = this.#servers.get(side)!
    const [value, companion] = namesOf(key)
    const there = this.#texts.get(data.peek(value) ?? '') ?? 0
    const seen = data.peek(companion)?.startsWith(this.#eraOf(side) ?? '?', ERA_AT) === true
    const traced = seen ? (this.#traced.get(`${side} ${key}`) ?? 0) : 0
    return { there, traced: Math.max(there, traced) }
  }

  /** Whether the companion is that of the value: its end leaves a trace. */
  #isTraced(side: Side, key: string, text: string): boolean {
    const { data } = this.#servers.get(side)!
    const companion = data.peek(namesOf(key)[1]) ?? ''
    const era = this.#eraOf(side) ?? '?'
    if (companion[1] !== 'v' || !companion.startsWith(era, ERA_AT)) return false
    const alive =
      Number(companion.slice(EXPIRES_AT, EXPIRES_AT + 13)) > this.#servers.get(side)!.now()
    return alive && companion.endsWith(`|${createHash('sha1').update(text).digest('hex')}`)
  }

  #eraOf(side: Side): string | undefined {
    const { data } = this.#servers.get(side)!
    return (data.execute('HGET', [names.state, 'era']) as string | null) ?? undefined
  }

  #see(side: Side, key: string, at: number): void {
    const name = `${side} ${key}`
    this.#traced.set(name, Math.max(this.#traced.get(name) ?? 0, at))
  }

  #changed(side: Side, key: string): void {
    const name = `${side} ${key}`
    this.#changes.set(name, (this.#changes.get(name) ?? 0) + 1)
  }

  #told(side: Side, what: string): void {
    this.#machine.tell(() => `another program beside the ${side} side ${what}`)
  }
}

/** The state's name, for those who take it away. */
export const PLAIN_STATE: string = names.state

function namesOf(key: string): readonly [value: string, companion: string] {
  const value = names.valueOf(key)
  return [value, names.companionOf(value)]
}
