import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FENCE_UNKNOWN } from '../../src/cache/backend.ts'
import { type Cell, fileCache, type FileCache, NEVER, type Owed } from '../../src/cache/index.ts'
import type { Side } from '../../src/side.ts'
import { seeded } from '../support/simulation.ts'
import { Choices } from './choices.ts'
import { enter, leave, Machine } from './machine.ts'
import { withWarnings } from '../support/with-warnings.ts'

/*
 * The shipped file store, preempted between its system calls: before any of them other processes may do whole
 * operations, time may pass, files may be deleted, and the process may die. What was acknowledged is held
 * against what is read.
 */

const require: NodeJS.Require = createRequire(import.meta.url)
/** Lines that are told. */
const STORY = 60
const T = 60_000
const SIDES: readonly Side[] = ['off', 'on']

const LOCKING = 'BEGIN IMMEDIATE'
const WITHIN_MS = 100
/** How far ahead of the clock a fence reaches: as long as a write may be on its way. */
const COVERED_MS = 10

const KEYS: readonly string[] = ['a', 'b', 'c']

interface Peer {
  readonly name: string
  readonly cache: FileCache
  dead: boolean
  busy: boolean
}

interface Known {
  token: string
  /** What a loader found at the origin after the miss. */
  value: string
}

type Hook = (what: string) => void

let hook: Hook | undefined
let active: Peer | undefined

/** @returns what is wrong, and the story; both empty when nothing is */
export async function walk(seed: number, steps: number, fences = true): Promise<readonly string[]> {
  const directory = mkdtempSync(
    join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'switchback-walk-'),
  )
  const machine = new Machine(new Choices(seed))
  enter({ machine, random: seeded(seed) })
  const unhook = hookCalls()
  const one = new Walk(seed, machine, directory, fences)
  try {
    return one.run(steps)
  } finally {
    hook = undefined
    unhook()
    leave()
    await one.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

class Walk {
  readonly #random: () => number
  readonly #machine: Machine
  readonly #directory: string
  readonly #peers: Peer[] = []
  readonly #gone: Peer[] = []
  readonly #story: string[] = []
  #wrong = ''
  #depth = 0
  #names = 0
  #clock = 0
  /** When the write of each value began. */
  readonly #began = new Map<string, number>()
  /** By when each value certainly stood: its write was acknowledged, it was seen, or loaded. */
  readonly #stood = new Map<string, number>()
  /** Of the writes of a key that certainly took place, when the one that began last began. */
  readonly #floors = new Map<string, number>()
  readonly #missed = new Map<string, Known>()
  /** When each debt was acknowledged; none once it is settled. */
  readonly #debts = new Map<string, number>()
  /** How often each was settled. */
  readonly #settled = new Map<string, number>()
  readonly #fences: Record<Side, number> = { off: 0, on: 0 }
  /** Until when a write may still land, by debt: the latest that was acknowledged. */
  readonly #landing = new Map<string, number>()
  /** What the process that is interrupted works at: others like to meddle with it. */
  #focus: { readonly key: string; readonly side: Side } | undefined
  /** When each process got the lock for its last transaction. */
  readonly #lockedAt = new Map<Peer, number>()
  /** Files that were deleted take with them what only they knew. */
  readonly #rough: boolean

  readonly #fencing: boolean

  constructor(seed: number, machine: Machine, directory: string, fencing: boolean) {
    this.#fencing = fencing
    this.#random = seeded(seed)
    this.#machine = machine
    this.#directory = directory
    this.#rough = seed % 3 === 0
    for (let i = 0; i < 3; i += 1) this.#peers.push(this.#newPeer(i))
  }

  run(steps: number): readonly string[] {
    hook = (what) => this.#preempt(what)
    for (let i = 0; i < steps && this.#wrong === ''; i += 1) {
      this.#machine.now += this.#pick([0, 1, 1, 50, 150])
      this.#step(this.#pick(this.#peers))
      this.#peers.forEach((peer, at) => {
        if (!peer.dead) return
        this.#gone.push(peer)
        this.#peers[at] = this.#newPeer(at)
      })
    }
    return this.#wrong === '' ? [] : [this.#wrong, ...this.#story.slice(-STORY)]
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#peers, ...this.#gone].map(({ cache }) => cache.close()))
  }

  #newPeer(i: number): Peer {
    this.#names += 1
    const cache = withWarnings(
      fileCache({
        directory: this.#directory,
        tombstoneTtl: T,
      }),
    )
    return { name: `p${i}.${this.#names}`, cache, dead: false, busy: false }
  }

  #pick<U>(from: readonly U[]): U {
    return from[Math.floor(this.#random() * from.length)]!
  }

  #chance(p: number): boolean {
    return this.#random() < p
  }

  #tell(text: string): void {
    this.#story.push(
      `${'  '.repeat(this.#depth)}${Math.floor(this.#machine.now)} ms ${active?.name ?? '-'}: ${text}`,
    )
  }

  #fail(text: string): void {
    if (this.#wrong === '') this.#wrong = text
    this.#tell(`*** ${text}`)
  }

  /** Before a system call of the process that runs. */
  #preempt(what: string): void {
    const me = active
    if (me?.dead === true && what !== 'ROLLBACK') throw new Error('killed')
    if (me === undefined || me.dead || this.#wrong !== '') return
    if (this.#chance(0.01)) {
      this.#tell(`is killed before ${what}`)
      me.dead = true
      // What is left of it only unwinds; the system rolls its transaction back.
      throw new Error('killed')
    }
    if (this.#chance(0.01)) this.#machine.now += this.#pick([150, 1000, 5000])
    const others = this.#peers.filter((peer) => !peer.busy && !peer.dead)
    if (this.#depth < 2 && others.length > 0 && this.#chance(0.12)) {
      const focus = this.#focus
      this.#tell(`is interrupted before ${what}`)
      this.#depth += 1
      for (let n = this.#pick([1, 1, 2, 3]); n > 0; n -= 1) this.#step(this.#pick(others))
      this.#depth -= 1
      this.#focus = focus
      active = me
    }
    if (what === LOCKING) this.#lockedAt.set(me, this.#machine.now)
  }

  #step(peer: Peer): void {
    if (peer.dead || peer.busy) return
    const before = active
    peer.busy = true
    active = peer
    try {
      this.#operate(peer)
    } catch (error) {
      this.#tell(`fails: ${String(error)}`)
    } finally {
      peer.busy = false
      active = before
    }
  }

  #operate(peer: Peer): void {
    const { cache } = peer
    const meddles = this.#focus !== undefined && this.#depth > 0 && this.#chance(0.6)
    const { key, side } = meddles
      ? this.#focus!
      : { key: this.#pick(KEYS), side: this.#pick(SIDES) }
    this.#focus = { key, side }
    const startedAt = this.#machine.now
    const debt = `${side} ${key}`
    // Files vanish most often amid an operation.
    const vanishing = this.#rough && this.#depth > 0 && this.#chance(0.08)
    const drawn = vanishing ? 1 : this.#random()
    // A promise means that somebody else holds the lock: as if the program had died waiting.
    if (drawn < 0.4) {
      const floor = this.#floors.get(key) ?? 0
      const cell = cache.read(key)
      if (cell instanceof Promise) return void cell.catch(() => undefined)
      this.#saw(peer, key, cell, floor)
    } else if (drawn < 0.6) {
      const fill = this.#chance(0.3) ? this.#missed.get(`${peer.name} ${key}`) : undefined
      const payload = fill?.value ?? this.#begin(key)
      const expect = fill?.token ?? '*'
      const result = cache.write(key, { payload, expiresAt: NEVER }, { expect, within: WITHIN_MS })
      if (result instanceof Promise) return void result.catch(() => undefined)
      if (peer.dead || !result.written) return
      this.#checkDeadline(peer, startedAt)
      this.#tell(`wrote ${key} = ${payload}${fill === undefined ? '' : ` over ${expect}`}`)
      if (fill === undefined) this.#took(key, payload)
    } else if (drawn < 0.72) {
      const deletion = this.#begin(key)
      const result = cache.invalidate(key, { within: WITHIN_MS })
      if (result instanceof Promise) return void result.catch(() => undefined)
      if (peer.dead || !result.done) return
      this.#checkDeadline(peer, startedAt)
      this.#tell(`deleted ${key}`)
      this.#took(key, deletion)
    } else if (drawn < 0.8) {
      const settled = this.#settled.get(debt)
      const notBefore = this.#machine.wall + this.#pick([-1000, 0, 200])
      const result = cache.ledger.owe(side, key, notBefore)
      if (result instanceof Promise) return void result.catch(() => undefined)
      // Somebody may have met it, and settled it, before this process was told that it is written.
      if (peer.dead || this.#settled.get(debt) !== settled) return
      this.#tell(`noted that ${side} owes ${key}`)
      this.#debts.set(debt, this.#machine.wall)
      this.#landing.set(debt, Math.max(notBefore, this.#landing.get(debt) ?? notBefore))
    } else if (drawn < 0.86) {
      const landing = new Map(this.#landing)
      const [owed] = cache.ledger.list(side, 1)
      if (owed !== undefined && !peer.dead) this.#settle(peer, owed, landing)
    } else if (drawn < 0.92) {
      this.#checkTrust(peer, side, key)
    } else if (drawn < 0.93) {
      this.#mend(peer, side)
    } else if (drawn < 0.96) {
      if (!this.#fencing) return
      const before = this.#machine.wall + this.#pick([-50, 0, COVERED_MS])
      // Stands when it returns, whoever holds which lock.
      void cache.ledger.fence(side, before)
      if (peer.dead) return
      this.#tell(`fenced ${side} before ${before}`)
      this.#fences[side] = Math.max(this.#fences[side], before)
    } else if (drawn < 0.98) {
      const fence = cache.ledger.fencedBefore(side)
      if (!peer.dead && fence < this.#fences[side]) {
        this.#fail(
          `the fence of ${side} is ${fence}, though ${this.#fences[side]} was acknowledged`,
        )
      }
    } else if (this.#rough) {
      this.#tell('somebody deletes the database')
      for (const part of ['', '-wal', '-shm'])
        rmSync(join(this.#directory, `cache.db${part}`), { force: true })
      // What was only there is gone, and the store says so by a fence.
      for (const one of this.#missed.values()) one.token = 'gone'
      if (this.#chance(0.5)) return
      // Another database is begun, and trusted from then on.
      void Promise.resolve(cache.read(key)).catch(() => undefined)
      for (const one of SIDES) this.#mend(peer, one)
      this.#machine.now += 50
    }
  }

  /** What is distrusted as a whole is distrusted up to now. */
  #mend(peer: Peer, side: Side): void {
    const { ledger } = peer.cache
    const from = ledger.fencedBefore(side)
    if (peer.dead || from < FENCE_UNKNOWN) return
    const before = this.#machine.wall + COVERED_MS
    const replaced = ledger.replaceFence(side, from, before)
    if (replaced instanceof Promise) return void replaced.catch(() => undefined)
    if (!replaced) return
    // Also if it dies of telling.
    this.#tell(`replaces what ${side} was distrusted by, with a fence before ${before}`)
    this.#fences[side] = Math.max(before, this.#fences[side])
  }

  #checkDeadline(peer: Peer, startedAt: number): void {
    const late = this.#lockedAt.get(peer)! - startedAt
    if (late > WITHIN_MS) this.#fail(`a write within ${WITHIN_MS} ms got its turn after ${late} ms`)
  }

  #settle(peer: Peer, owed: Owed, landing: ReadonlyMap<string, number>): void {
    const debt = `${owed.side} ${owed.key}`
    const lands = landing.get(debt) ?? 0
    // Settled and noted again meanwhile, or gone with its file: no matter.
    if (!this.#rough && owed.notBefore < lands && lands === this.#landing.get(debt)) {
      this.#fail(
        `${debt} is to be repaid from ${owed.notBefore} on, though a write may land until ${lands}`,
      )
    }
    this.#landing.delete(debt)
    // From here on it may be settled, whoever is told of it; what is noted from here on may not.
    this.#debts.delete(debt)
    this.#settled.set(debt, (this.#settled.get(debt) ?? 0) + 1)
    void Promise.resolve(peer.cache.ledger.settle(owed)).catch(() => undefined)
    this.#tell(`settles ${debt}`)
  }

  #checkTrust(peer: Peer, side: Side, key: string): void {
    const noted = this.#debts.get(`${side} ${key}`)
    const fence = this.#fences[side]
    const trusted = peer.cache.ledger.trustedFrom(side, key)
    if (peer.dead) return
    // Settled meanwhile: no matter.
    const stands = this.#debts.get(`${side} ${key}`) === noted
    if (noted !== undefined && stands && trusted <= noted) {
      this.#fail(
        `${side} ${key} is trusted from ${trusted}, though a debt was acknowledged at ${noted}`,
      )
    }
    if (trusted < fence)
      this.#fail(`${side} is trusted from ${trusted}, though the fence ${fence} was acknowledged`)
  }

  #saw(peer: Peer, key: string, cell: Cell, floor: number): void {
    if (peer.dead) return
    this.#tell(`read ${key} = ${cell.payload || cell.state}`)
    if (cell.state !== 'value') {
      // A loader asks the origin now.
      this.#clock += 1
      const value = `load ${this.#clock}`
      this.#stood.set(value, this.#clock)
      this.#missed.set(`${peer.name} ${key}`, { token: cell.token, value })
    } else if ((this.#stood.get(cell.payload) ?? Number.POSITIVE_INFINITY) < floor) {
      this.#fail(
        `STALE: ${key} = ${cell.payload}, though a newer write was acknowledged or seen before`,
      )
    } else this.#took(key, cell.payload)
  }

  #begin(key: string): string {
    this.#clock += 1
    const name = `${key}.${this.#clock}`
    this.#began.set(name, this.#clock)
    return name
  }

  #took(key: string, name: string): void {
    this.#clock += 1
    if (!this.#stood.has(name)) this.#stood.set(name, this.#clock)
    this.#floors.set(key, Math.max(this.#floors.get(key) ?? 0, this.#began.get(name) ?? 0))
  }
}

/** Calls the hook before each system call. */
function hookCalls(): () => void {
  const fs = require('node:fs') as Record<string, (...args: never[]) => unknown>
  const Database = require('libsql') as { prototype: Record<string, (sql: string) => unknown> }
  const { readSync, writeSync } = fs
  const { exec, prepare } = Database.prototype
  fs['readSync'] = (...args: never[]) => {
    hook?.('a read of the control file')
    return readSync!(...args)
  }
  fs['writeSync'] = (...args: never[]) => {
    hook?.('a write of the control file')
    return writeSync!(...args)
  }
  Database.prototype['exec'] = function hooked(this: unknown, sql: string) {
    hook?.(sql.slice(0, 20))
    return exec!.call(this, sql)
  }
  Database.prototype['prepare'] = function hooked(this: unknown, sql: string) {
    const statement = prepare!.call(this, sql) as Record<string, (...args: unknown[]) => unknown>
    const { get } = statement
    if (sql.startsWith('SELECT')) {
      statement['get'] = function hookedGet(this: unknown, ...args: unknown[]) {
        hook?.('a row is read')
        return get!.apply(this, args)
      }
    }
    return statement
  }
  syncBuiltinESMExports()
  return () => {
    Object.assign(fs, { readSync, writeSync })
    Object.assign(Database.prototype, { exec, prepare })
    syncBuiltinESMExports()
  }
}
