import type { Client } from '@openfeature/server-sdk'
import { probeUsers } from '../../flagfile/index.ts'
import { configurationOf } from '../source/configuration.ts'
import { evaluationContext } from './decision-context.ts'
import { evaluateBoolean } from './provider-evaluation.ts'
import type { Evaluation } from './provider-evaluation.ts'
import { somebodyWaits } from './pressure.ts'
import { modeOf, providerOf } from '../source/provider-facts.ts'
import type { FlagsMode } from '../source/provider-facts.ts'

/** Which share of a fixed set of probe users goes to the new side in this process now. */
export interface LiveSplit {
  /** How many probe users were asked for. */
  readonly probes: number
  /** How many of them go to the new side. */
  readonly on: number
  /** Their quotient, 0 to 1. */
  readonly ratio: number
  /**
   * `exact`: the probes are spread evenly over flagd's hash, and the ratio of a plain split is its share
   * to one per cent. `sample`: the provider hashes in a way of its own; the ratio is near the share only.
   */
  readonly kind: 'exact' | 'sample'
  readonly mode: FlagsMode
  /** Hash of the flag's definition that decided, `''` where it is not known. */
  readonly hash: string
  /** Epoch milliseconds of the latest evaluation. */
  readonly at: number
  /** Epoch milliseconds since when {@link on} is what it is. */
  readonly since: number
}

export interface LiveSplitOptions {
  /**
   * Milliseconds between two evaluations of the probe users while no change is announced, 100 or more;
   * 0: only when a change is announced.
   * @default 1000 in-process and from a file, 0 over rpc, 30,000 with another vendor's provider
   */
  readonly everyMs?: number
}

export interface LiveSplitParts extends LiveSplitOptions {
  readonly client: Client
  /** The client is of our own making. */
  readonly plain: boolean
  readonly flag: string
  readonly feature: string | undefined
  /**
   * Users may have lost the new side: a probe user has, or all are on the old side. `announced`: the decider has
   * been told of the change already. Called before the split is reported.
   */
  readonly onNarrowed: (announced: boolean) => void
  /** A change was announced, and nobody could be asked since. */
  readonly onDoubt: () => void
}

/** What an evaluation of all probes may cost, by where the flags come from. */
interface Pace {
  readonly everyMs: number
  readonly probes: number
  readonly concurrency: number
}

const PACES: Readonly<Record<FlagsMode, Pace>> = {
  'in-process': { everyMs: 1_000, probes: 100, concurrency: 1 },
  file: { everyMs: 1_000, probes: 100, concurrency: 1 },
  rpc: { everyMs: 0, probes: 100, concurrency: 2 },
  // The vendor may count evaluations or users, and bill for them.
  provider: { everyMs: 30_000, probes: 50, concurrency: 2 },
}

/** Milliseconds of evaluations after which the event loop gets a turn. */
const SLICE_MS = 0.5
/** Milliseconds that a probe waits for decisions that are under way. */
const YIELD_MS = 25
/** Longest round in milliseconds; a provider has no deadline of its own. */
const ROUND_MS = 10_000
/** What a round computes may be one part in this many of the time while nothing changes. */
const IDLE_PARTS = 50
/** The same while changes follow each other, and the longest wait that this may cause. */
const BUSY_PARTS = 4
const MAX_GAP_MS = 1_000
/** Milliseconds to the next try after a round that failed, doubled each time. */
const RETRY_MS = 1_000
const MAX_RETRY_MS = 30_000
/** Evaluations that never returned, after which no more are started. */
const MAX_LOST = 8

/**
 * Evaluates the flag for its probe users when a change is announced and periodically, through the
 * client that real decisions use, with the same `feature` and nothing else. It has no part in the
 * decider's memory, its gate or its counts.
 */
export class LiveSplitWatch {
  readonly #parts: LiveSplitParts
  #current: LiveSplit | undefined
  #sides = new Map<string, boolean>()
  /** Incremented by every change: a round that began before one is discarded. */
  #changes = 0
  /** {@link #changes} as {@link #current} knows them. */
  #known = 0
  /** A change was announced, and the probe users were not asked since. */
  #unseen = false
  #timer: NodeJS.Timeout | undefined
  #running: Round | undefined
  #notBefore = 0
  #failures = 0
  #underWay = 0
  #started = false
  #closed = false

  constructor(parts: LiveSplitParts) {
    this.#parts = parts
    // Another vendor's provider is not asked before the first look: evaluations may cost money.
    if (this.#mode !== 'provider') this.#started = true
  }

  /**
   * The latest; `undefined` before the first, and after a change until its probe users were asked: what
   * they got before it says nothing of what users get now. The first look starts a round.
   */
  look(): LiveSplit | undefined {
    if (!this.#started) {
      this.#started = true
      this.#schedule(0)
    }
    return this.#known === this.#changes ? this.#current : undefined
  }

  /** The provider is ready, or its configuration has changed (`announced`). */
  changed(announced: boolean): void {
    this.#changes++
    this.#unseen ||= announced
    this.#failures = 0
    // The provider may be one of ours that was set up after the decider.
    if (this.#mode !== 'provider') this.#started = true
    if (this.#running !== undefined) this.#running.failed = true
    else if (this.#started) this.#schedule(0)
    else this.#cannotSee()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  get #mode(): FlagsMode {
    return modeOf(providerOf(this.#parts.client))
  }

  #hash(): string {
    const { client, flag } = this.#parts
    return configurationOf(providerOf(client))?.hashOf(flag) ?? ''
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#closed) return
    const wait = Math.max(ms, this.#notBefore - performance.now(), 0)
    this.#timer = setTimeout(() => void this.#round(), wait).unref()
  }

  async #round(): Promise<void> {
    if (this.#running !== undefined || this.#closed) return
    const { client, everyMs } = this.#parts
    const mode = this.#mode
    const pace = PACES[mode]
    const every = everyMs ?? pace.everyMs
    const changes = this.#changes
    const hash = this.#hash()
    const begun = performance.now()
    const round = new Round(this.#probes(pace))
    this.#running = round
    const askable = client.providerStatus !== 'NOT_READY' && client.providerStatus !== 'FATAL'
    const answered = askable && this.#underWay < MAX_LOST && (await this.#ask(round, pace))
    this.#running = undefined
    const now = performance.now()
    // By what it computed: on a busy machine it takes long, and the next change must not wait for that.
    const cost = Math.min(now - begun, round.busyMs)
    this.#notBefore = now + Math.min(cost * BUSY_PARTS, MAX_GAP_MS)
    // A round that spans two configurations describes neither.
    if (changes !== this.#changes || hash !== this.#hash()) return this.#schedule(0)
    if (!answered) {
      this.#cannotSee()
      const retry = Math.min(RETRY_MS * 2 ** this.#failures, MAX_RETRY_MS)
      this.#failures++
      return askable || every > 0 ? this.#schedule(retry) : undefined
    }
    this.#failures = 0
    this.#take(round.sides, mode, hash)
    if (every > 0) this.#schedule(Math.max(every, round.busyMs * IDLE_PARTS))
  }

  #cannotSee(): void {
    if (!this.#unseen) return
    this.#unseen = false
    this.#parts.onDoubt()
  }

  #probes({ probes }: Pace): readonly string[] {
    const all = probeUsers(this.#parts.flag)
    return all.filter((_, index) => index % (all.length / probes) === 0)
  }

  /** Whether the provider answered for every probe. Never rejects. */
  async #ask(round: Round, { concurrency }: Pace): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ROUND_MS).unref()
    })
    const workers = Array.from({ length: concurrency }, () => this.#work(round))
    await Promise.race([Promise.all(workers), late])
    clearTimeout(timer)
    const complete = round.complete
    round.failed = true
    return complete
  }

  async #work(round: Round): Promise<void> {
    while (!round.over && !this.#closed) {
      await breath()
      // Decisions that operations wait for go first, up to a limit: on a busy service there are
      // always some.
      const since = performance.now()
      while (somebodyWaits() && performance.now() - since < YIELD_MS) await pause()
      const begun = performance.now()
      let now = begun
      while (!round.over && now - begun < SLICE_MS) {
        const user = round.take()
        this.#underWay++
        const result = await this.#evaluate(user)
        this.#underWay--
        const side = this.#sideOf(user, result)
        if (side === undefined) round.failed = true
        else round.sides.set(user, side)
        now = performance.now()
      }
      round.busyMs += now - begun
    }
  }

  #evaluate(targetingKey: string): Evaluation<boolean> | Promise<Evaluation<boolean>> {
    const { client, plain, flag, feature } = this.#parts
    return evaluateBoolean(client, flag, evaluationContext({ targetingKey }, feature), plain)
  }

  /** As the decider treats a user whom it remembers; `undefined` without an answer. */
  #sideOf(user: string, result: Evaluation<boolean>): boolean | undefined {
    if (result.ok) return result.value
    if (!result.answered) return undefined
    // The flag was deleted: all users are on the old side. Any other mistake in it moves no user.
    return result.errorCode === 'FLAG_NOT_FOUND' ? false : (this.#sides.get(user) ?? false)
  }

  /** Whether somebody who was, or may have been, on the new side is not there now. */
  #narrower(sides: ReadonlyMap<string, boolean>): boolean {
    for (const [user, on] of sides) if (!on && this.#sides.get(user) !== false) return true
    return false
  }

  #take(sides: Map<string, boolean>, mode: FlagsMode, hash: string): void {
    const before = this.#current
    const at = Date.now()
    const probes = sides.size
    const on = [...sides.values()].filter(Boolean).length
    const same = before?.on === on && before.probes === probes
    const announced = before === undefined || this.#known !== this.#changes
    // Who is there by an attribute is not among the probe users: nobody on is a rollback for them as well.
    const nobody = announced && on === 0
    if (nobody || this.#narrower(sides)) this.#parts.onNarrowed(announced)
    this.#unseen = false
    this.#sides = sides
    this.#known = this.#changes
    this.#current = Object.freeze({
      probes,
      on,
      ratio: on / probes,
      kind: mode === 'provider' ? ('sample' as const) : ('exact' as const),
      mode,
      hash,
      at,
      since: same ? before.since : at,
    })
  }
}

/** All probes once. */
class Round {
  readonly sides = new Map<string, boolean>()
  failed = false
  /** Milliseconds in which nothing else had its turn. */
  busyMs = 0
  readonly #users: readonly string[]
  #next = 0

  constructor(users: readonly string[]) {
    this.#users = users
  }

  get over(): boolean {
    return this.failed || this.#next >= this.#users.length
  }

  get complete(): boolean {
    return !this.failed && this.sides.size === this.#users.length
  }

  take(): string {
    return this.#users[this.#next++] as string
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 2).unref()
  })
}

/** The timer must not keep the process alive. */
function breath(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve).unref()
  })
}
