import type { Machine, Owner, TraceEvent } from './machine.ts'
import { RedisData, type Snapshot } from './redis-data.ts'
import { LuaError } from './lua-library.ts'

/** What a message may take, in milliseconds; the first is the plain one. */
export const DELAYS: readonly number[] = [
  0.2, 0.5, 1, 2, 3, 5, 8, 12, 18, 25, 35, 50, 70, 90, 99, 105, 120, 150, 200, 260, 340, 500, 800,
  1500,
]

/** A client gives a silent server up after this long. */
const SILENCE_MS = 1000
/** Longer than from one tick to the next. */
const HEARD_MS = 300
const RECONNECT_MS: readonly number[] = [50, 60, 90, 200, 400]

/** The one Redis of the simulated machine. */
export class RedisServer {
  readonly data: RedisData
  clockOffset = 0
  /** Changes with each restart: what is on its way to the old one never arrives. */
  life = 1
  up = true
  /** Stopped: takes what arrives, and answers nothing before. */
  hungUntil = 0
  readonly snapshots: Snapshot[] = []
  readonly clients: Set<RedisConnection> = new Set()
  readonly machine: Machine
  plainly: number
  /** How many of the delays there are. */
  readonly span: number

  constructor(machine: Machine, plainly: number, span: number = DELAYS.length) {
    this.machine = machine
    this.plainly = plainly
    this.span = span
    this.data = new RedisData(() => this.now())
    this.data.restart(runId(1), new Map())
  }

  now(): number {
    return 1_800_000_000_000 + Math.floor(this.machine.now) + this.clockOffset
  }

  delay(who: string): number {
    return DELAYS[this.machine.choices.take(who, this.span, this.plainly)]!
  }

  remember(): void {
    this.snapshots.push(this.data.snapshot())
  }

  stop(): void {
    this.up = false
    this.life += 1
    this.hungUntil = 0
    for (const client of this.clients) client.lose('the server went away')
  }

  start(data: Snapshot): void {
    this.data.restart(runId(this.life), data)
    this.up = true
  }
}

/** As long as real ones. */
function runId(life: number): string {
  return `run${life}`.padEnd(40, '0')
}

interface Pending {
  readonly resolve: (reply: unknown) => void
  readonly reject: (error: Error) => void
}

type Listener = (error?: Error) => void

/**
 * One program's connection, as far as it shows in an ioredis client that fails fast: commands arrive and are
 * answered in the order in which they were sent, and end with the connection, though the server may
 * still apply them.
 */
export class RedisConnection {
  readonly options: object = {
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    socketTimeout: SILENCE_MS,
    connectTimeout: 1000,
    retryStrategy: () => 50,
  }
  status = 'connecting'
  readonly #server: RedisServer
  readonly #owner: Owner
  readonly #listeners = new Map<string, Set<Listener>>()
  #pending = new Set<Pending>()
  #number = 0
  #lastArrival = 0
  #lastReply = 0
  #heard = 0
  /** The connection whose silence is watched. */
  #watched = -1
  #ended = false
  #cutUntil = 0
  readonly #sends: string
  readonly #hears: string

  constructor(server: RedisServer, owner: Owner) {
    this.#server = server
    this.#owner = owner
    this.#sends = `${owner.name} sends`
    this.#hears = `${owner.name} hears`
    server.clients.add(this)
    this.#connect(0.5)
  }

  isOf(owner: Owner | undefined): boolean {
    return this.#owner === owner && !this.#ended
  }

  /** Its program has heard of the server of late. */
  get isHeard(): boolean {
    return this.status === 'ready' && this.#server.machine.now - this.#heard <= HEARD_MS
  }

  /** Its program is no more: nobody waits for answers. What left is on its way. */
  die(): void {
    this.#ended = true
    this.status = 'end'
    this.#number += 1
    this.#server.clients.delete(this)
  }

  on(event: string, listener: Listener): this {
    const all = this.#listeners.get(event) ?? new Set()
    this.#listeners.set(event, all.add(listener))
    return this
  }

  once(event: string, listener: Listener): this {
    const once: Listener = (error) => {
      this.off(event, once)
      listener(error)
    }
    return this.on(event, once)
  }

  off(event: string, listener: Listener): this {
    this.#listeners.get(event)?.delete(listener)
    return this
  }

  removeListener(event: string, listener: Listener): this {
    return this.off(event, listener)
  }

  disconnect(reconnect = false): void {
    if (!reconnect) this.#ended = true
    this.lose('disconnected')
  }

  /** The connection breaks. What was sent may have left already. */
  lose(why: string): void {
    if (this.status !== 'ready') return
    const { machine } = this.#server
    machine.tell(() => `${this.#owner.name} loses its connection to Redis (${why})`)
    this.status = 'reconnecting'
    this.#number += 1
    const pending = this.#pending
    this.#pending = new Set()
    machine.at(
      0,
      () => {
        this.#emit('close')
        for (const { reject } of pending) reject(named('Connection is closed.', 'AbortError'))
      },
      this.#owner,
    )
    const wait =
      RECONNECT_MS[machine.choices.take(`${this.#owner.name} connects`, RECONNECT_MS.length, 0.5)]!
    if (!this.#ended) this.#connect(wait)
  }

  /** Nothing reaches the server from here for so long. */
  cut(ms: number): void {
    this.#cutUntil = this.#server.machine.now + ms
    this.lose('cut off')
  }

  call(name: string, ...args: readonly unknown[]): Promise<unknown> {
    return this.#send(name.toUpperCase(), args.map(String))
  }

  get(key: string): Promise<unknown> {
    return this.#send('GET', [key])
  }

  mget(...keys: readonly (string | readonly string[])[]): Promise<unknown> {
    return this.#send('MGET', keys.flat())
  }

  evalsha(...args: readonly unknown[]): Promise<unknown> {
    return this.#send('EVALSHA', texts(args))
  }

  eval(...args: readonly unknown[]): Promise<unknown> {
    return this.#send('EVAL', texts(args))
  }

  select(db: number): Promise<unknown> {
    return this.#send('SELECT', [String(db)])
  }

  time(): Promise<unknown> {
    return this.#send('TIME', [])
  }

  info(section: string): Promise<unknown> {
    return this.#send('INFO', [section])
  }

  ping(): Promise<unknown> {
    return this.#send('PING', [])
  }

  scan(...args: readonly unknown[]): Promise<unknown> {
    return this.#send('SCAN', args.map(String))
  }

  hget(...args: readonly unknown[]): Promise<unknown> {
    return this.#send('HGET', args.map(String))
  }

  hmget(...args: readonly unknown[]): Promise<unknown> {
    return this.#send('HMGET', args.flat().map(String))
  }

  exists(...args: readonly unknown[]): Promise<unknown> {
    return this.#send('EXISTS', args.flat().map(String))
  }

  #connect(wait: number): void {
    const { machine } = this.#server
    machine.at(
      wait,
      () => {
        if (this.#ended) return
        if (!this.#server.up) {
          // The address answers with a refusal.
          this.status = 'reconnecting'
          this.#emit('error', new Error('connect ECONNREFUSED'))
          this.#emit('close')
          this.#connect(
            RECONNECT_MS[
              machine.choices.take(`${this.#owner.name} connects`, RECONNECT_MS.length, 0.5)
            ]!,
          )
          return
        }
        if (machine.now < this.#cutUntil) {
          this.#connect(this.#cutUntil - machine.now + 0.1)
          return
        }
        if (machine.now < this.#server.hungUntil) {
          this.#connect(this.#server.hungUntil - machine.now + 0.1)
          return
        }
        this.status = 'ready'
        this.#lastArrival = machine.now
        this.#lastReply = machine.now
        this.#heard = machine.now
        machine.tell(() => `${this.#owner.name} is connected to Redis`)
        this.#emit('ready')
      },
      this.#owner,
    )
  }

  #emit(event: string, error?: Error): void {
    const listening = Array.from(this.#listeners.get(event) ?? [])
    for (const listener of listening) listener(error)
  }

  #send(name: string, args: readonly string[]): Promise<unknown> {
    const server = this.#server
    const { machine } = server
    if (this.status !== 'ready') {
      return Promise.reject(
        new Error("Stream isn't writeable and enableOfflineQueue options is false"),
      )
    }
    return new Promise((resolve, reject) => {
      const pending: Pending = { resolve, reject }
      if (this.#pending.size === 0) this.#heard = machine.now
      this.#pending.add(pending)
      this.#watch()
      const { life } = server
      const connection = this.#number
      this.#lastArrival = Math.max(this.#lastArrival, machine.now + server.delay(this.#sends))
      const arrive = (): void => {
        if (server.life !== life || !server.up) return
        if (machine.now < server.hungUntil) {
          machine.at(server.hungUntil - machine.now, arrive, undefined)
          return
        }
        // Of a connection that broke meanwhile: it may have been in the server's hands, or not.
        const broken = this.#number !== connection
        if (broken && machine.choices.take(`${this.#owner.name} was cut`, 2, 0.5) === 1) return
        this.#apply(name, args, pending, connection)
      }
      machine.at(this.#lastArrival - machine.now, arrive, undefined)
    })
  }

  #apply(name: string, args: readonly string[], pending: Pending, connection: number): void {
    const { machine, data } = this.#server
    let reply: unknown
    let failure: Error | undefined
    try {
      reply = data.execute(name, args)
    } catch (error) {
      if (!(error instanceof LuaError)) throw error
      failure = error
      failure.name = 'ReplyError'
    }
    if (machine.trace !== undefined && failure === undefined) this.#note(name, args, reply)
    // The looks at an idle side say nothing.
    const idle = name === 'PING' || (name === 'GET' && args[0]?.endsWith(':') === true)
    if (!idle || failure !== undefined)
      machine.tell(
        () =>
          `Redis applies ${this.#owner.name}'s ${describe(name, args)} -> ${failure?.message ?? short(reply)}`,
      )
    if (this.#number !== connection) return
    this.#lastReply = Math.max(this.#lastReply, machine.now + this.#server.delay(this.#hears))
    machine.at(
      this.#lastReply - machine.now,
      () => {
        this.#heard = machine.now
        if (!this.#pending.delete(pending)) return
        if (failure === undefined) pending.resolve(reply)
        else pending.reject(failure)
      },
      this.#owner,
    )
  }

  #note(name: string, args: readonly string[], reply: unknown): void {
    const { trace } = this.#server.machine
    const note = (what: TraceEvent['what'], key: string, value: string): void =>
      void trace?.push({
        process: this.#owner.name,
        what,
        place: 'R',
        key: key.replace('sim:', ''),
        value,
      })
    if (name === 'MGET') {
      args.forEach((key, i) => {
        // The state and the check of rights are no cells.
        if (key.startsWith('sim:#')) return
        const [, kind, value] = /^\d([vbx])[^|]*\|(.*)$/su.exec((reply as string[])[i] ?? '') ?? []
        note('reads', key, kind === 'v' ? value! : '')
      })
    } else if (name.startsWith('EVAL')) {
      const kind = args.find((arg) => /^\d[vbx][\w-]{12}$/u.test(arg))?.[1]
      if (kind === undefined) return
      // Late, or of another era: nothing happened, and it is told again.
      const outcome = Number(Array.isArray(reply) ? reply[0] : reply) % 10
      if (outcome > 2) return
      const done = outcome > 0
      const value = args
        .slice(1)
        .map((arg) => /\|(.*)$/su.exec(arg)?.[1] ?? '')
        .join('')
      if (kind === 'x' && done) note('marks', args[2]!, '')
      else if (kind !== 'x') note(done ? 'puts' : 'refused', args[2]!, value)
    }
  }

  /** Gives a silent server up. */
  #watch(): void {
    const { machine } = this.#server
    const connection = this.#number
    if (this.#watched === connection) return
    this.#watched = connection
    machine.at(
      Math.max(1, this.#heard + SILENCE_MS - machine.now),
      () => {
        this.#watched = -1
        if (this.#number !== connection || this.#pending.size === 0) return
        if (machine.now - this.#heard >= SILENCE_MS) this.lose('it did not answer')
        else this.#watch()
      },
      this.#owner,
    )
  }
}

/** What a client makes of its arguments. */
function texts(args: readonly unknown[]): string[] {
  const all: string[] = []
  for (const arg of args) {
    if (Array.isArray(arg)) all.push(...arg.map(String))
    else all.push(String(arg))
  }
  return all
}

function named(message: string, name: string): Error {
  const error = new Error(message)
  error.name = name
  return error
}

/** Script arguments say little; the cell's header does. */
function describe(name: string, args: readonly string[]): string {
  if (!name.startsWith('EVAL')) return `${name} ${args.join(' ').slice(0, 80)}`
  const head = args.find((arg) => /^\d[vbx][\w-]{12}$/u.test(arg))
  const kind = head === undefined ? 'script' : head[1] === 'x' ? 'TOMBSTONE' : 'PUT'
  const value = args
    .slice(1)
    .map((arg) => /\|(.*)$/su.exec(arg)?.[1] ?? '')
    .join('')
  const names = args.slice(2, 2 + Number(args[1])).map((key) => key.replace(/^.*:/u, ''))
  const names12 =
    kind === 'TOMBSTONE' ? (/^\d{13}([\w-]{12})0/u.exec(args.at(-2) ?? '')?.[1] ?? '') : ''
  const rest = names12 === '' ? '' : ` naming ${names12}`
  const expects =
    kind === 'PUT'
      ? ` if ${args.find((arg) => arg === '*' || arg === '' || /^[\w-]{12}$/u.test(arg)) ?? ''}`
      : ''
  return `${kind} ${names.join(' ')} ${value}${rest}${expects}${head === undefined ? '' : ` [${head.slice(2)}]`}`
}

function short(reply: unknown): string {
  const text = JSON.stringify(reply) ?? 'nil'
  return text.length > 120 ? `${text.slice(0, 120)}...` : text
}
