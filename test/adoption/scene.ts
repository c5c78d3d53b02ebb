import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import type { Decider, Decision, DecisionContext, FlagHealth } from '../../src/flags/index.ts'
import { otherSide, type Side } from '../../src/side.ts'
import type { SwitchEvent } from '../../src/switch/events.ts'
import type { Outcome, Recorder, SideEvent } from '../../src/telemetry/recorder.ts'
import { seeded } from '../support/simulation.ts'
import type { App, Profile } from './harness.ts'
import {
  type Circumstances,
  isAllowed,
  type Loaded,
  type Op,
  type Version,
  type Write,
} from './judge.ts'

export interface SceneOptions extends Circumstances {
  readonly seed: number
  readonly keys: number
  /** A Redis is killed or stands still: the old program has no cache then and may fail. @default false */
  readonly trouble?: boolean
}

const USERS = 20
const SLOW = 30
const NEVER = Number.POSITIVE_INFINITY
const EVERY = 'every'
const BAD: ReadonlySet<Outcome> = new Set(['failed', 'timed_out', 'fell_back'])

/**
 * An app with the switch beside the same app without it: the origin of both, the users' sides, and what is true. A
 * read that is older than a write which was acknowledged before is a violation, unless a row of guarantees.md,
 * "Plain values", allows it.
 */
export class Scene {
  readonly violations: string[] = []
  renames = 0
  /** Of the patched version, at most. */
  loadsAtOnce = 0
  /** Of users on the new side. */
  share = 0
  readonly #options: SceneOptions
  readonly #requests = new AsyncLocalStorage<Op>()
  readonly #random: () => number
  #clock = 0
  #loading = 0
  readonly #versions = new Map<string, number>()
  readonly #loaded = new Map<number, Loaded>()
  readonly #writes = new Map<string, Write[]>()
  readonly #ops: Op[] = []
  readonly #old = new Set<Promise<void>>()
  readonly #events: { readonly at: number; readonly text: string }[] = []
  readonly #lost: number[] = []
  readonly #repaid: number[] = []
  /** Of each side, from when to when it was out. */
  readonly #outages: { readonly side: Side; readonly from: number; to: number }[] = []

  constructor(options: SceneOptions) {
    this.#options = options
    this.#random = seeded(options.seed)
  }

  /** The user is known from the request, as by `runAs`. */
  readonly decider: Decider = {
    decide: (_context?: DecisionContext): Decision => {
      const side = this.#requests.getStore()?.side ?? 'off'
      return { side, variant: side, reason: 'SPLIT', errorCode: '', source: 'remembered' }
    },
    targetingKeyOf: () => EVERY,
    health: (): FlagHealth => ({ ok: true, status: 'READY', since: 0, detail: '' }),
    close: async () => undefined,
  }

  /** What the switch does for which request. */
  readonly telemetry: Recorder = {
    operation: (_side, operation, outcome, _ms, _bucket, elsewhere) => {
      const op = this.#requests.getStore()
      if (op === undefined) return
      op.unanswered ||= BAD.has(outcome)
      op.hit ||= outcome === 'hit'
      op.asked = true
      op.notes.push(`${operation} ${outcome}${elsewhere === true ? ', the other side served' : ''}`)
    },
    event: (side, event) => this.#sideEvent(side, event),
    bucketOf: () => 0,
    decision: () => undefined,
    originLoad: () => undefined,
    bytes: () => undefined,
    comparison: () => undefined,
  }

  readonly onEvent = (event: SwitchEvent): void => {
    const at = this.happened(event.message)
    const { type, side } = event
    if (side === undefined) return
    if (type === 'side-out') this.#outages.push({ side, from: at, to: NEVER })
    if (type === 'side-back') {
      for (const outage of this.#outages)
        if (outage.side === side) outage.to = Math.min(at, outage.to)
    }
    if (type === 'repaid' && side === 'off') this.#repaid.push(at)
  }

  get ids(): readonly string[] {
    return Array.from({ length: this.#options.keys }, (_, i) => `u${i}`)
  }

  isOut(side: Side): boolean {
    return this.#outages.some((outage) => outage.side === side && outage.to === NEVER)
  }

  get loads(): number {
    return this.#loaded.size
  }

  get now(): number {
    return this.#clock
  }

  /** Whether a value has moved to that side. */
  hasMovedTo(side: Side): boolean {
    return this.#ops.some(({ notes }) => notes.includes(`backfill ${side}`))
  }

  /** For the story of a violation. */
  happened(text: string): number {
    const at = (this.#clock += 1)
    this.#events.push({ at, text })
    return at
  }

  /** The old side's Redis has restarted. */
  lost(): void {
    this.#lost.push(this.happened('the old side has lost what it had'))
  }

  /** So many users of the patched version read one key at once. */
  async rush(app: App, id: string, users: number): Promise<void> {
    await Promise.all(Array.from({ length: users }, () => this.request(app, 'new', id, 'read')))
  }

  /** Loads since then, but for those of requests during which a side did not answer. */
  loadsSince(then: number): number {
    const bad = this.#ops.filter(({ unanswered }) => unanswered)
    const troubles = [
      ...bad.map(({ began, ended }) => ({ from: began, to: ended })),
      ...this.#outages,
    ]
    const count = Array.from(this.#loaded.values()).filter(({ at, op }) => {
      return at > then && !troubles.some(({ from, to }) => from <= op.ended && to >= op.began)
    })
    return count.length
  }

  async load(id: string): Promise<Profile> {
    const load = (this.#clock += 1)
    const op = this.#requests.getStore()!
    this.#loaded.set(load, { op, at: load, seenOn: { off: [], on: [] } })
    const version = this.#versions.get(id) ?? 0
    op.notes.push(`${load} loads version ${version}`)
    if (op.by === 'new') this.#loading += 1
    this.loadsAtOnce = Math.max(this.loadsAtOnce, this.#loading)
    // Now and then it is overtaken.
    for (let i = this.#upTo(4) || this.#upTo(SLOW); i > 0; i -= 1) await turn()
    if (op.by === 'new') this.#loading -= 1
    return { id, version, load }
  }

  async save(id: string): Promise<void> {
    this.#versions.set(id, (this.#versions.get(id) ?? 0) + 1)
    const savedAt = (this.#clock += 1)
    const op = this.#requests.getStore()!
    op.notes.push(`${savedAt} saves version ${this.#versions.get(id)}`)
    const write = { op, savedAt, acknowledgedAt: NEVER }
    this.#writes.set(id, [...(this.#writes.get(id) ?? []), write])
    await turn()
  }

  /** One request of one user. */
  async request(app: App, by: Version, id: string, kind: 'read' | 'rename'): Promise<void> {
    const side: Side = this.#upTo(USERS) < this.share * USERS ? 'on' : 'off'
    const op = newOp(id, kind, by, side, (this.#clock += 1))
    this.#ops.push(op)
    let profile: Profile | undefined
    await this.#requests.run(op, async () => {
      try {
        if (kind === 'rename') await this.#rename(app, op, id)
        else profile = await app.profile(id)
      } catch (error) {
        op.notes.push(String(error))
        // While its Redis is away, the old program has no cache and no answer.
        if (by === 'new' || this.#options.trouble !== true)
          this.violations.push(`FAILED: a ${kind} of ${id} by the ${by} version: ${String(error)}`)
      }
    })
    op.ended = this.#clock += 1
    if (profile !== undefined) this.#judge(id, op, profile)
  }

  /** So many requests of the patched app, by several users at once, and others of the old one meanwhile. */
  async traffic(apps: Readonly<Record<Version, App>>, requests: number): Promise<void> {
    let left = requests
    const request = (by: Version): Promise<void> => {
      const kind = this.#random() < 0.12 ? 'rename' : 'read'
      // A few are asked for often.
      const key = this.#upTo(2) * this.#upTo(this.#options.keys) || this.#upTo(3)
      return this.request(apps[by], by, `u${key}`, kind)
    }
    const users = async (by: Version): Promise<void> => {
      while (left > 0) {
        if (by === 'new') left -= 1
        await request(by)
        await turn()
      }
    }
    const old = users('old')
    this.#old.add(old)
    void old.then(() => this.#old.delete(old))
    await Promise.all(Array.from({ length: 5 }, () => users('new')))
    // One that waits for a Redis that is away is not waited for.
    if (this.#options.trouble !== true) await old
  }

  /** Resolves when the users of the old version are done too. */
  async settled(): Promise<void> {
    await Promise.all(this.#old)
  }

  #sideEvent(side: Side, event: SideEvent): void {
    const op = this.#requests.getStore()
    if (op === undefined) return
    if (event === 'fill' || event === 'backfill') op.storedOn.push(side)
    if (event === 'owed') op.owedBy.push(side)
    if (event === 'fill' || event === 'backfill' || event === 'fill_refused' || event === 'owed')
      op.notes.push(`${event} ${side}`)
  }

  async #rename(app: App, op: Op, id: string): Promise<void> {
    this.renames += 1
    await app.rename(id)
    const write = this.#writes.get(id)!.find((one) => one.op === op)
    if (write !== undefined) write.acknowledgedAt = this.#clock += 1
  }

  #judge(id: string, read: Op, { load, version }: Profile): void {
    const value = this.#loaded.get(load)
    if (value === undefined) {
      this.violations.push(`a read of ${id} returned what nobody loaded`)
      return
    }
    read.notes.push(`is given version ${version} of load ${load}`)
    for (const side of sidesOf(read, value)) value.seenOn[side].push(read.ended)
    for (const write of this.#writes.get(id) ?? []) {
      const isOlder = write.acknowledgedAt < read.began && write.savedAt > value.at
      const happened = { lost: this.#lost, repaid: this.#repaid }
      if (!isOlder || isAllowed(write, read, value, this.#options, happened)) continue
      if (this.#options.unconditional === true && this.#joined(read, write.acknowledgedAt)) continue
      const who = `a user of the ${read.side} side of the ${read.by} version`
      const from = `loaded by the ${value.op.by} version for a user of ${value.op.side}`
      this.violations.push(
        `STALE: ${who} read version ${version} of ${id}, ${from}, after the ${write.op.by} version had acknowledged a rename at ${write.acknowledgedAt}:\n${this.#story(id, read)}`,
      )
      return
    }
  }

  /** What happened to the value, until the end of that request. */
  #story(id: string, last: Op): string {
    const ops = this.#ops.filter((op) => op.id === id && op.began <= last.ended)
    const lines = ops.map(({ began, ended, by, side, kind, notes }) => {
      const text = `${began}-${ended} ${by} ${side} ${kind}: ${notes.join('; ')}`
      return { at: began, text }
    })
    const events = this.#events.map(({ at, text }) => ({ at, text: `${at} ${text}` }))
    const all = [...lines, ...events].toSorted((a, b) => a.at - b.at)
    return all.map(({ text }) => `  ${text}`).join('\n')
  }

  /** Whether the library gave the result of a call that it began before the write was acknowledged, for another reader. */
  #joined(read: Op, acknowledgedAt: number): boolean {
    if (read.asked || read.by === 'old') return false
    const leaders = this.#ops.filter(
      ({ id, kind, asked }) => id === read.id && kind === 'read' && asked,
    )
    return leaders.some(({ began, ended }) => began < acknowledgedAt && ended >= read.began)
  }

  #upTo(n: number): number {
    return Math.floor(this.#random() * n)
  }
}

function newOp(id: string, kind: Op['kind'], by: Version, side: Side, began: number): Op {
  const found = { asked: false, unanswered: false, hit: false, storedOn: [], owedBy: [], notes: [] }
  return { id, kind, by, side, began, ended: NEVER, ...found }
}

/** Where the switch has found or stored the value, for certain. What the old program sees tells the switch nothing. */
function sidesOf(read: Op, value: Loaded): readonly Side[] {
  // Nor what the library gives of a call of its own that it has joined.
  if (read.by === 'old' || !read.asked) return []
  if (read.hit) return [read.side]
  // Its own load, or one that it has joined.
  if (value.op.ended > read.began) return read.storedOn
  return [...read.storedOn, otherSide(read.side)]
}
