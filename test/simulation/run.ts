import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type CacheBackend,
  type CacheNamespace,
  fileCache,
  redisCache,
} from '../../src/cache/index.ts'
import type { RedisCacheOptions } from '../../src/cache/index.ts'
import { newToken } from '../../src/cache/envelope.ts'
import { SwitchbackError } from '../../src/errors.ts'
import type { Side } from '../../src/side.ts'
import { type CacheSwitch, type CacheView, createCacheSwitch } from '../../src/switch/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { seeded } from '../support/simulation.ts'
import { Choices, type Taken } from './choices.ts'
import { Disk, DiskCache } from './file-store.ts'
import { enter, Machine, type Owner, type TraceEvent, untilDrawn } from './machine.ts'
import type { ClientPlan, FaultPlan, OpPlan, Plan, ProcessPlan } from './plan.ts'
import { Outsiders, PLAIN_STATE, PREFIX } from './outsiders.ts'
import { RedisConnection, RedisServer } from './redis-server.ts'
import { Truth } from './truth.ts'

export interface Outcome {
  /** What was wrong, the worst first; empty: nothing. */
  readonly problems: readonly string[]
  readonly story: readonly string[]
  readonly trace: readonly TraceEvent[]
  readonly choices: Taken
  readonly reads: number
  readonly writes: number
  readonly excusedReads: number
  readonly failed: number
  readonly events: number
}

export interface RunOptions {
  readonly seed: number
  /** Choices to make again, instead of drawing them. */
  readonly script?: Taken
  readonly story?: boolean
  readonly trace?: boolean
}

/** Everything has had time to end by then: the longest load, the longest fault, the longest deadline. */
const LONGEST_MS = 60_000

class Process implements Owner {
  readonly name: string
  dead = false
  frozenUntil = 0
  readonly plan: ProcessPlan
  cache: CacheSwitch | undefined
  closed = false
  /** How often it said that it alone knows of something. */
  untold = 0
  /** Of each key, when the last write began of which it alone knows. */
  readonly alone = new Map<string, number>()

  constructor(name: string, plan: ProcessPlan) {
    this.name = name
    this.plan = plan
  }
}

interface Runner {
  readonly plan: ClientPlan
  readonly name: string
  next: number
  done: boolean
}

/** Runs one plan of one seed. Simulated time stays in place: the caller leaves it. */
export async function run(plan: Plan, options: RunOptions): Promise<Outcome> {
  const machine = new Machine(new Choices(options.seed, options.script))
  if (options.story === true) machine.story = []
  if (options.trace === true) machine.trace = []
  enter({
    machine,
    random: seeded(options.seed),
    nested: plan.clients.some(({ ops }) => ops.some(({ op }) => op === 'nested')),
  })
  // What a run before this one has left over of its tokens must not show in this one.
  untilDrawn(newToken)
  const world = new World(plan, machine)
  const onRejection = (error: unknown): void =>
    void world.problem(`UNHANDLED rejection: ${String(error)}`)
  process.on('unhandledRejection', onRejection)
  try {
    await world.run()
  } finally {
    process.off('unhandledRejection', onRejection)
    world.dispose()
  }
  return {
    problems: world.problems,
    story: machine.story ?? [],
    trace: machine.trace ?? [],
    choices: machine.choices.taken,
    reads: world.truth.reads,
    writes: world.truth.writes,
    excusedReads: world.truth.excusedReads,
    failed: world.failed,
    events: machine.events,
  }
}

class World {
  readonly problems: string[] = []
  readonly truth = new Truth()
  failed = 0
  readonly #plan: Plan
  readonly #machine: Machine
  readonly #redis: RedisServer
  /** The old side of a pair of two Redis. */
  readonly #old: RedisServer | undefined
  readonly #disk: Disk
  /** Programs without the switch, where values are plain. */
  readonly #outsiders: Outsiders | undefined
  readonly #directory: string | undefined
  readonly #processes: Process[] = []
  readonly #runners: Runner[]
  #underWay = 0
  /** What users of each side saw in the end. */
  readonly #last = new Map<string, string>()
  #excusedUntil = 0
  /** What readers saw of a copy. */
  readonly #seenInCopy = new Set<unknown>()
  /** Until the running processes have seen that the clock of Redis was set ahead. */
  #steppedUntil = 0
  /** A fence is in their place, or they have ended: the host's clock was set ahead by more than they live. */
  #filesLackTombstones = false
  #starts = 0
  /** A write was known to its process alone. */
  #alone = false
  /** Since when some processes hear of one Redis only, the others of the other one, and nobody of both. */
  #splitSince: number | undefined
  /** When that was so last, for long enough that licences may have been prolonged in the absence of a board. */
  #splitAt = Number.NEGATIVE_INFINITY

  constructor(plan: Plan, machine: Machine) {
    this.#plan = plan
    this.#machine = machine
    this.#redis = new RedisServer(machine, plan.plainly, plan.span)
    this.#old = plan.pair === true ? new RedisServer(machine, plan.plainly, plan.span) : undefined
    this.#disk = new Disk(machine, plan.diskPlainly, plan.span)
    this.#disk.sweeps = plan.sweeps === true
    if (plan.plain !== undefined) {
      this.#outsiders = new Outsiders(machine, this.truth, (text) => this.problem(text))
      for (const side of plan.plain) this.#outsiders.adopt(side, this.#serverOf(side))
      this.#disk.onFence = (side) => this.#outsiders!.fenced(side)
    }
    this.#directory = plan.realFiles ? freshDirectory() : undefined
    this.#runners = plan.clients.map((client, i) => ({
      plan: client,
      name: `client ${i + 1}`,
      next: 0,
      done: false,
    }))
  }

  problem(text: string): void {
    this.problems.push(text)
    this.#machine.tell(() => `*** ${text}`)
  }

  async run(): Promise<void> {
    const machine = this.#machine
    for (const act of this.#plan.outsiders ?? []) {
      if (act.at === 0) this.#outsiders?.act(act)
      else machine.at(act.at, () => this.#outsiders?.act(act), undefined)
    }
    this.#plan.processes.forEach((plan, i) => this.#start(i, plan))
    for (const fault of this.#plan.faults)
      machine.at(fault.at, () => this.#strike(fault), undefined)
    for (const at of [0, 150, 400, 900, 1800])
      machine.at(at, () => this.#servers.forEach((one) => one.remember()), undefined)
    if (this.#old !== undefined) this.#watchSplit()
    const { faults, outsiders = [] } = this.#plan
    const lastFault = Math.max(
      0,
      ...faults.map(({ at, ms }) => at + ms),
      ...outsiders.map(({ at }) => at),
    )
    const wrong = (): boolean => this.problems.length > 0
    await machine.run(LONGEST_MS, () => wrong() || (this.#quiet() && machine.now > lastFault))
    if (wrong()) return
    if (!this.#quiet()) {
      const waiting = this.#runners.filter(({ done }) => !done).map(({ name }) => name)
      this.problem(`HUNG: ${waiting.join(', ')} wait for an answer that never comes`)
      return
    }
    // What is wrong for good shows in the end, to users of either side.
    await machine.run(Math.max(machine.now + 1500, this.#excusedUntil + 1), () => false)
    await this.#tellAll()
    for (const owner of this.#processes) this.#lookAround(owner)
    await machine.run(machine.now + 5000, () => wrong() || this.#underWay === 0)
    if (!wrong()) this.#compareSides()
    if (!wrong()) this.#askOutsiders()
  }

  /** What programs without the switch were promised. */
  #askOutsiders(): void {
    const outsiders = this.#outsiders
    if (outsiders === undefined) return
    const { clients, faults } = this.#plan
    const clears = clients.some(({ ops }) => ops.some(({ op }) => op === 'clear'))
    const quiet = faults.every(({ kind }) => LOSES_NOTHING.has(kind))
    const wrong = outsiders.wrong(quiet && !clears && this.#old === undefined).next()
    if (wrong.done === false) this.problem(wrong.value)
    const owing = this.#processes.some(({ dead, closed, cache }) => {
      if (dead || closed || cache === undefined) return false
      const { off, on } = cache.health()
      return off.owed > 0 || on.owed > 0
    })
    if (!quiet || owing || this.#alone) return
    const left = outsiders.leftBehind().next()
    if (left.done === false) this.problem(left.value)
  }

  /** What a process alone knew it tells as soon as it can, if it lives; then it counts for all. */
  async #tellAll(): Promise<void> {
    const alone = this.#processes.filter(({ alone, dead, closed }) => {
      return alone.size > 0 && !dead && !closed
    })
    const told = ({ cache }: Process): boolean => {
      const { off, on } = cache!.health()
      // A clock that is far from the machine's goes on being told of, and keeps nothing back.
      const well = [off, on].every(({ ok, detail }) => ok || detail.startsWith('its clock is'))
      return off.owed === 0 && on.owed === 0 && (this.#old === undefined || well)
    }
    if (alone.length === 0) return
    // The longest-lasting fault has ended; a network and a disk that go on being slow could put it off for ever.
    for (const place of [...this.#servers, this.#disk]) place.plainly = 1
    // A fence shows in no count.
    await this.#machine.run(this.#machine.now + FENCE_TOLD_MS, () => false)
    await this.#machine.run(this.#machine.now + TOLD_MS, () => alone.every(told))
    const untold = new Set(alone.filter((owner) => !told(owner)))
    // Licences of the eras before.
    await this.#machine.run(this.#machine.now + 1500, () => false)
    for (const owner of alone) {
      if (untold.has(owner))
        this.problem(`NOT TOLD: ${owner.name} still knows alone of what it wrote`)
      else for (const [key, at] of owner.alone) this.truth.toldLate(key, at)
    }
  }

  dispose(): void {
    if (this.#directory === undefined) return
    // After the timers are real again; what is still open keeps only memory.
    for (const { cache } of this.#processes) void cache?.close().catch(() => undefined)
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #serverOf(side: Side): RedisServer {
    return side === 'off' && this.#old !== undefined ? this.#old : this.#redis
  }

  #sideOf(server: RedisServer): Side {
    return server === this.#old ? 'off' : 'on'
  }

  get #servers(): readonly RedisServer[] {
    return this.#old === undefined ? [this.#redis] : [this.#redis, this.#old]
  }

  #quiet(): boolean {
    return this.#runners.every(({ done }) => done)
  }

  #start(i: number, plan: ProcessPlan): void {
    this.#starts += 1
    const owner = new Process(
      this.#processes[i] === undefined ? `p${i}` : `p${i}#${this.#starts}`,
      plan,
    )
    if (this.#machine.now < this.#steppedUntil) {
      const others = this.#processes.some((one) => !one.dead && !one.closed)
      if (others) this.#excusedUntil = Math.max(this.#excusedUntil, this.#steppedUntil)
      else for (const key of ['k', 'l']) this.truth.excused.add(key)
    }
    this.#processes[i] = owner
    this.#machine.at(
      0,
      () => {
        this.#machine.tell(
          () =>
            `${owner.name} starts (standby: ${plan.policy}${plan.retire ? ', retires the old side' : ''})`,
        )
        owner.cache = this.#assemble(owner)
        for (const runner of this.#runners) {
          if (runner.plan.process === i && !runner.done) void this.#client(runner, owner)
        }
      },
      owner,
    )
  }

  /** The shipped assembly; only the server, the disk and the flag are not real. */
  #assemble(owner: Process): CacheSwitch {
    const { tombstoneTtl } = this.#plan
    const { policy, retire, ...rest } = owner.plan
    const redisOf = (server: RedisServer): CacheBackend =>
      redisCache({
        client: new RedisConnection(server, owner) as unknown as NonNullable<
          RedisCacheOptions['client']
        >,
        prefix: PREFIX,
        tombstoneTtl,
        ...(this.#plan.plain?.includes(this.#sideOf(server)) === true && { values: 'plain' }),
      })
    const on = redisOf(this.#redis)
    let off: CacheBackend
    if (this.#old !== undefined) off = redisOf(this.#old)
    else if (this.#directory === undefined) off = new DiskCache(this.#disk, tombstoneTtl)
    else off = fileCache({ directory: this.#directory, tombstoneTtl })
    return createCacheSwitch({
      flag: 'new-side',
      off,
      on,
      decider: new FixedDecider({ 'on-user': 'on', 'off-user': 'off' }),
      standby: policy,
      ...(retire ? { retire: 'off' as const } : {}),
      compareShare: 1,
      onEvent: (event) => {
        if (event.type === 'ledger-failed') owner.untold += 1
        if (event.type === 'fenced') this.#outsiders?.fenced(event.side)
        this.#filesLackTombstones ||= event.type === 'fenced' && event.side === 'off'
        this.#machine.tell(() => `${owner.name} says: ${JSON.stringify(event)}`)
      },
      ...rest,
    })
  }

  async #client(runner: Runner, owner: Process): Promise<void> {
    const { ops } = runner.plan
    while (runner.next < ops.length) {
      const op = ops[runner.next]!
      await this.#machine.pause(op.gap)
      if (this.#processes[runner.plan.process] !== owner) return
      runner.next += 1
      this.#note(owner, 'begins', op, op.op)
      const told = `${runner.name} in ${owner.name}: ${op.op} ${op.op === 'clear' ? '' : op.key} as a user of ${op.side}`
      try {
        const perform = (): Promise<void> => this.#perform(op, owner, told)
        const outsiders = WRITES.has(op.op) ? this.#outsiders : undefined
        const keys = op.op === 'set' || op.op === 'delete' ? [op.key] : ['k', 'l']
        await (outsiders === undefined ? perform() : outsiders.writing(keys, perform))
      } catch (error) {
        this.#machine.tell(() => `${told} fails: ${String(error)}`)
        this.failed += 1
        const expected = owner.closed && error instanceof SwitchbackError
        if (!expected) this.problem(`FAILED: ${told}: ${String(error)}`)
      }
    }
    runner.done = true
  }

  async #perform(op: OpPlan, owner: Process, told: string): Promise<void> {
    const { truth } = this
    const machine = this.#machine
    let everywhere = true
    const began = machine.now
    let outcome = ''
    const whole = owner.cache!.for(
      { targetingKey: `${op.side}-user` },
      {
        onOperation: (info) => {
          everywhere &&= info.reach !== 'process'
          outcome = info.outcome
        },
      },
    )
    const cache = this.#part(whole)
    const outcomeOf = (): string => outcome
    const { key } = op
    const options = op.ttl === 0 ? {} : { ttl: op.ttl }
    const begin = (
      keys: readonly string[],
    ): readonly (readonly [string, ReturnType<Truth['begin']>])[] =>
      keys.map((one) => [one, truth.begin(one)])
    const ends = (one: string, at: number, value?: string): void => {
      // Into the generation that a copy had.
      if (this.#plan.namespace === true && began < this.#excusedUntil) return
      if (everywhere) truth.acknowledged(one, at, value)
      else owner.alone.set(one, Math.max(owner.alone.get(one) ?? 0, at))
    }
    switch (op.op) {
      case 'set': {
        const { at, version } = truth.begin(key)
        const value = truth.valueOf(key, version)
        machine.tell(() => `${told} := ${value} begins`)
        await cache.set(key, value, options)
        ends(key, at, value)
        break
      }
      case 'delete': {
        const { at, version } = truth.begin(key)
        machine.tell(() => `${told} begins (the origin is at ${key}.v${version})`)
        await cache.delete(key)
        ends(key, at)
        break
      }
      case 'deleteMany':
      case 'clear': {
        const all = begin(['k', 'l'])
        machine.tell(() => `${told} begins`)
        if (op.op === 'clear') {
          const { untold } = owner
          await cache.clear()
          // Of two Redis an event says that neither was told. Of files nothing: if they took no fence, only
          // its process knows.
          // A namespace says it by `onOperation`.
          if (this.#plan.namespace === true) everywhere &&= true
          else if (this.#old !== undefined) everywhere = owner.untold === untold
          else everywhere = began >= this.#disk.brokenUntil
        } else await cache.deleteMany(['k', 'l'])
        for (const [one, { at }] of all) ends(one, at)
        break
      }
      case 'get':
        await this.#read(op, told, owner, outcomeOf, () => cache.get(key))
        return
      default: {
        const load = async (): Promise<string> => {
          const value = truth.load(key)
          machine.tell(() => `${told}: the loader reads ${value} at the origin`)
          if (op.op === 'nested') {
            await cache.getOrSet(`${key} inner`, async () => 'inner', options)
          }
          if (op.loadMs > 0) await machine.pause(op.loadMs)
          if (op.grace?.fails === true) throw LOADER_FAILED
          return value
        }
        const { softMs } = op.grace ?? {}
        const grace = op.grace && { grace: '1d' as const, ...(softMs && { softTimeout: softMs }) }
        const value = await this.#read(op, told, owner, outcomeOf, () =>
          cache.getOrSet(key, load, { ...options, ...grace }).catch((error: unknown) => {
            if (error !== LOADER_FAILED) throw error
            return undefined
          }),
        )
        this.#note(owner, 'ends', op, String(value))
        return
      }
    }
    this.#note(owner, 'ends', op, '')
    machine.tell(
      () => `${told} is acknowledged${everywhere ? '' : ', as known to its process alone'}`,
    )
    this.#alone ||= !everywhere
  }

  #part(cache: CacheView): CacheNamespace {
    return this.#plan.namespace === true ? cache.namespace('n') : cache
  }

  async #read(
    { key, side }: Pick<OpPlan, 'key' | 'side'>,
    told: string,
    by: Process,
    outcomeOf: () => string,
    read: () => Promise<unknown>,
  ): Promise<unknown> {
    // Who wrote it knows of it, though nobody else could be told.
    const floor = Math.max(this.truth.floor(key), by.alone.get(key) ?? 0)
    const began = this.#machine.now
    this.#machine.tell(() => `${told} begins`)
    const plain = this.#outsiders?.look(side, key)
    const value = await read()
    const outcome = outcomeOf()
    // Of an answer from the other side nothing is known of what others did on this one.
    if (plain !== undefined && ANSWERED.has(outcome)) {
      this.#outsiders!.judge(side, key, plain, value, outcome)
    }
    // Also when it had begun before.
    const excused = began < this.#excusedUntil
    this.#machine.tell(() => `${told} returns ${value === undefined ? 'nothing' : String(value)}`)
    const wrong = this.truth.judge(key, floor, value)
    if (wrong === undefined) return value
    if (excused) this.#seenInCopy.add(value)
    const moved = this.#filesLackTombstones && this.#seenInCopy.has(value)
    const lost = this.#outsiders?.mayComeBack(value) === true
    if (excused || moved || lost || this.#isSplit()) this.truth.excusedReads += 1
    else this.problem(wrong)
    return value
  }

  /** Some reach only one Redis, the others only the other one: nothing can be promised until it is over. */
  #watchSplit(): void {
    const machine = this.#machine
    const { now } = machine
    const heard = this.#processes
      .filter((one) => !one.dead && !one.closed && one.frozenUntil <= now)
      .map((one) =>
        this.#servers.map(({ clients }) =>
          [...clients].some((client) => client.isOf(one) && client.isHeard),
        ),
      )
    const split =
      !heard.some(([a, b]) => a && b) && heard.some(([a]) => a) && heard.some(([, b]) => b)
    this.#splitSince = split ? (this.#splitSince ?? now) : undefined
    if (now - (this.#splitSince ?? now) >= SPLIT_MS) this.#splitAt = now
    machine.at(50, () => this.#watchSplit(), undefined)
  }

  #isSplit(): boolean {
    if (this.#machine.now - this.#splitAt <= MENDED_MS) return true
    // Whoever knew what is pending may be gone by then.
    return this.#splitAt > 0 && this.#plan.faults.some(({ kind }) => FORGETS.has(kind))
  }

  #note(owner: Process, what: 'begins' | 'ends', op: OpPlan, value: string): void {
    const { trace } = this.#machine
    trace?.push({
      process: owner.name,
      what,
      place: op.side === 'off' ? 'F' : 'R',
      key: op.key,
      value,
    })
  }

  /**
   * Users of different sides must agree in the end about what was set. (A load may rightly see another of
   * two crossing writes than the caches kept, and a write that was cut off may have reached one side.)
   */
  #compareSides(): void {
    if ((this.#outsiders?.writes ?? 0) > 0) return
    if (this.#alone || this.#plan.faults.some(({ kind }) => !HARMLESS.has(kind))) return
    for (const key of ['k', 'l']) {
      const [off, on] = [this.#last.get(`off ${key}`), this.#last.get(`on ${key}`)]
      const wereSet = [off, on].every((value) => value !== undefined && !value.includes('load'))
      if (wereSet && off !== on) {
        this.problem(`DIFFERENT for good: the files say ${off} for ${key}, Redis says ${on}`)
      }
    }
  }

  #stepOf(pick: number): number {
    // Between two Redis, less than a licence lives lengthens it by as much.
    const steps = this.#old === undefined ? STEPS : STEPS.filter((ms) => Math.abs(ms) > 1000)
    return steps[(this.#old === undefined ? pick : pick >> 1) % steps.length]!
  }

  #lookAround(owner: Process): void {
    if (owner.dead || owner.closed || owner.cache === undefined) return
    for (const side of ['on', 'off'] as const) {
      for (const key of ['k', 'l']) {
        this.#underWay += 1
        let outcome = ''
        const whole = owner.cache!.for(
          { targetingKey: `${side}-user` },
          { onOperation: (info) => void (outcome = info.outcome) },
        )
        const view = this.#part(whole)
        this.#machine.at(
          0.5,
          () =>
            void this.#read(
              { key, side },
              `${owner.name} in the end: get ${key} as a user of ${side}`,
              owner,
              () => outcome,
              () => view.get(key),
            )
              .then((value) => {
                if (typeof value === 'string') this.#last.set(`${side} ${key}`, value)
              })
              .finally(() => {
                this.#underWay -= 1
              }),
          owner,
        )
      }
    }
  }

  #strike(fault: FaultPlan): void {
    const machine = this.#machine
    const disk = this.#disk
    const { kind, ms, pick } = fault
    const redis = this.#servers[pick % this.#servers.length]!
    const owner = this.#processes[fault.process]
    const later = (work: () => void): void => void machine.at(ms, work, undefined)
    const side = this.#sideOf(redis)
    const plain = this.#plan.plain?.includes(side) === true
    const snapshot = redis.snapshots[pick % Math.max(1, redis.snapshots.length)] ?? new Map()
    machine.tell(() => `--- ${kind} (${ms} ms, p${fault.process}, ${fault.key})`)
    switch (kind) {
      case 'hang':
        redis.hungUntil = machine.now + ms
        return
      case 'disconnect':
        for (const client of redis.clients) if (client.isOf(owner)) client.lose('cut')
        return
      case 'cut':
        for (const client of redis.clients) if (client.isOf(owner)) client.cut(ms)
        return
      case 'evict-state':
        redis.data.delete(plain ? PLAIN_STATE : `${PREFIX}#state`)
        if (plain) this.#outsiders!.lost(side)
        return
      case 'restart-empty':
      case 'restart-snapshot':
        if (!redis.up) return
        redis.stop()
        later(() => {
          redis.start(kind === 'restart-empty' ? new Map() : snapshot)
          if (plain) this.#outsiders!.lost(side)
          machine.tell(
            () => `Redis is up again, ${kind === 'restart-empty' ? 'empty' : 'from a snapshot'}`,
          )
        })
        return
      case 'flushall':
        redis.data.replace(new Map())
        if (plain) this.#outsiders!.lost(side)
        return
      case 'replicaof':
        redis.data.replace(snapshot)
        if (plain) this.#outsiders!.lost(side)
        redis.data.readonly = true
        // Readers see the copy until their next tick, which may itself be slow.
        this.#excusedUntil = machine.now + TICK_MS
        redis.data.replid2 = String(machine.events).padStart(40, '1')
        later(() => {
          redis.data.readonly = false
        })
        return
      case 'evict':
        if (plain) {
          // That a value is gone shows: it counts as deleted by somebody.
          const whole = pick % 3 > 0
          if (this.#outsiders!.evict(side, fault.key, whole) && !whole)
            this.truth.excused.add(fault.key)
        } else if (this.#plan.namespace === true) {
          if (redis.data.delete(`${PREFIX}n:#generation`))
            for (const key of ['k', 'l']) this.truth.excused.add(key)
        } else if (redis.data.delete(PREFIX + fault.key)) this.truth.excused.add(fault.key)
        return
      case 'oom':
      case 'readonly': {
        const what = kind === 'oom' ? 'full' : 'readonly'
        redis.data[what] = true
        later(() => {
          redis.data[what] = false
        })
        return
      }
      case 'kill':
      case 'start':
        if (owner === undefined || owner.dead) return
        owner.dead = true
        for (const { clients } of this.#servers) {
          for (const client of clients) if (client.isOf(owner)) client.die()
        }
        later(() =>
          this.#start(fault.process, this.#plan.processes[pick % this.#plan.processes.length]!),
        )
        return
      case 'freeze':
        if (owner !== undefined) owner.frozenUntil = machine.now + ms
        return
      case 'close':
        if (owner?.cache === undefined || owner.dead || owner.closed) return
        owner.closed = true
        machine.at(0, () => void owner.cache!.close(), owner)
        later(() =>
          this.#start(fault.process, this.#plan.processes[pick % this.#plan.processes.length]!),
        )
        return
      case 'writer-frozen':
        disk.lockedUntil = machine.now + ms
        return
      case 'disk-full':
        disk.fullUntil = machine.now + ms
        return
      case 'disk-broken':
        disk.brokenUntil = machine.now + ms
        return
      case 'redis-clock': {
        const step = this.#stepOf(pick)
        redis.clockOffset += step
        if (step >= this.#plan.tombstoneTtl / 4) this.#steppedUntil = machine.now + TICK_MS
        // What it stamps now may be from before its last fence.
        this.#outsiders?.fenced(side)
        return
      }
      case 'host-clock':
        machine.wallOffset += STEPS[pick % STEPS.length]!
        this.#filesLackTombstones ||= STEPS[pick % STEPS.length]! >= this.#plan.tombstoneTtl
        return
      default:
        throw new Error(`no such fault: ${String(kind)}`)
    }
  }
}

/** After these, every write that began was acknowledged. */
const HARMLESS: ReadonlySet<string> = new Set([
  'hang',
  'disconnect',
  'oom',
  'readonly',
  'writer-frozen',
])

/** A store has all that it ever took, and nothing of it is distrusted. */
const LOSES_NOTHING: ReadonlySet<string> = new Set([
  ...HARMLESS,
  'kill',
  'start',
  'close',
  'freeze',
  'cut',
])

const WRITES: ReadonlySet<string> = new Set(['set', 'delete', 'deleteMany', 'clear'])

/** The side of the user has answered. */
const ANSWERED: ReadonlySet<string> = new Set(['hit', 'miss', 'stale'])

/** A breaker asks its side every 5 s, a quarter more or less; then what is pending is delivered. */
const TOLD_MS = 60_000

/** A few rounds of the upkeep of each process. */
const FENCE_TOLD_MS = 1500

/** A tick a second, and as long as a slow one may be on its way. */
const TICK_MS = 1000 + 2500

const LOADER_FAILED = new Error('the origin is out')
const FORGETS: ReadonlySet<string> = new Set([
  'kill',
  'close',
  'evict-state',
  'flushall',
  'restart-empty',
  'restart-snapshot',
])

const SPLIT_MS = 400
/** What others have noted meanwhile is heard by then. */
const MENDED_MS = 1000

const STEPS = [3000, -3000, 200, -200, 3_600_000, -3_600_000]

/** Files in memory: a disk would only be slow. */
function freshDirectory(): string {
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  return mkdtempSync(join(base, 'switchback-simulation-'))
}
