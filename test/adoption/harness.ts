import { AsyncLocalStorage } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { Decider, Decision, DecisionContext, FlagHealth } from '../../src/flags/index.ts'
import type { Side } from '../../src/side.ts'
import { seeded } from '../support/simulation.ts'

/** What an app caches. Each load makes another one, so that a reader can be told where its value is from. */
export interface Profile {
  readonly id: string
  readonly version: number
  readonly load: number
}

export interface App {
  profile(id: string): Promise<Profile>
  rename(id: string): Promise<void>
  close(): Promise<void>
}

/** What an app is given; the unpatched one uses its Redis and the origin only. */
export interface Env {
  readonly redisUrl: string
  readonly newRedisUrl: string
  readonly origin: Pick<Scene, 'load' | 'save'>
  readonly switch: object
}

/** The program as it was, and with the switch. */
export type Version = 'old' | 'new'

interface Op {
  readonly by: Version
  readonly side: Side
  readonly began: number
  ended: number
}

interface Load {
  readonly op: Op
  readonly at: number
  /** The value was on the new side, and perhaps not on the old one. */
  readonly elsewhere: boolean
}

interface Write {
  readonly by: Version
  readonly savedAt: number
  acknowledgedAt: number
}

export interface SceneOptions {
  readonly seed: number
  readonly keys: number
  /** Each process has a cache of its own: of others' writes it never knew. @default false */
  readonly private?: boolean
  /** What is loaded is stored whatever happened meanwhile, as the library's interface has it. @default false */
  readonly unconditional?: boolean
  /** A Redis was killed or stood still: other programs see what is pending there. @default false */
  readonly trouble?: boolean
}

const USERS = 20
const NEVER = Number.POSITIVE_INFINITY
const EVERY = 'every'

/**
 * An app with the switch beside the same app without it: the origin of both, the users' sides, and what is true. A
 * read that is older than a write which was acknowledged before is a violation, unless a row of guarantees.md,
 * "Plain values", allows it.
 */
export class Scene {
  readonly violations: string[] = []
  loads = 0
  renames = 0
  /** Of users on the new side. */
  share = 0
  /** The two sides have met: before, what is loaded for users of the old side is kept by the new one. */
  hasMet = false
  readonly #options: SceneOptions
  readonly #ops = new AsyncLocalStorage<Op>()
  readonly #random: () => number
  #clock = 0
  readonly #versions = new Map<string, number>()
  readonly #loaded = new Map<number, Load>()
  readonly #writes = new Map<string, Write[]>()

  constructor(options: SceneOptions) {
    this.#options = options
    this.#random = seeded(options.seed)
  }

  /** The user is known from the request, as by `runAs`. */
  readonly decider: Decider = {
    decide: (_context?: DecisionContext): Decision => {
      const side = this.#ops.getStore()?.side ?? 'off'
      return { side, variant: side, reason: 'SPLIT', errorCode: '', source: 'remembered' }
    },
    targetingKeyOf: () => EVERY,
    health: (): FlagHealth => ({ ok: true, status: 'READY', since: 0, detail: '' }),
    close: async () => undefined,
  }

  get ids(): readonly string[] {
    return Array.from({ length: this.#options.keys }, (_, i) => `u${i}`)
  }

  async load(id: string): Promise<Profile> {
    this.loads += 1
    const load = (this.#clock += 1)
    const op = this.#ops.getStore()!
    const elsewhere = op.side === 'on' || (op.by === 'new' && !this.hasMet)
    this.#loaded.set(load, { op, at: load, elsewhere })
    const version = this.#versions.get(id) ?? 0
    for (let i = this.#upTo(4); i > 0; i -= 1) await turn()
    return { id, version, load }
  }

  async save(id: string): Promise<void> {
    this.#versions.set(id, (this.#versions.get(id) ?? 0) + 1)
    const savedAt = (this.#clock += 1)
    const { by } = this.#ops.getStore()!
    const write = { by, savedAt, acknowledgedAt: NEVER }
    this.#writes.set(id, [...(this.#writes.get(id) ?? []), write])
    await turn()
  }

  /** One request of one user. */
  async request(app: App, by: Version, id: string, kind: 'read' | 'rename'): Promise<void> {
    const side: Side = this.#upTo(USERS) < this.share * USERS ? 'on' : 'off'
    const op: Op = { by, side, began: (this.#clock += 1), ended: NEVER }
    await this.#ops.run(op, async () => {
      try {
        if (kind === 'rename') await this.#rename(app, op, id)
        else this.#judge(id, op, await app.profile(id))
      } catch (error) {
        // While its Redis is away, the old program has no cache and no answer.
        if (by === 'new' || this.#options.trouble !== true)
          this.violations.push(`FAILED: a ${kind} of ${id} by the ${by} version: ${String(error)}`)
      }
    })
    op.ended = this.#clock += 1
  }

  /** So many requests of the patched app, by several users at once, and others of the old one meanwhile. */
  async traffic(apps: Readonly<Record<Version, App>>, requests: number): Promise<void> {
    let left = requests
    const request = (by: Version): Promise<void> => {
      const kind = this.#random() < 0.12 ? 'rename' : 'read'
      return this.request(apps[by], by, `u${this.#upTo(this.#options.keys)}`, kind)
    }
    const users = async (by: Version): Promise<void> => {
      while (left > 0) {
        if (by === 'new') left -= 1
        await request(by)
        await turn()
      }
    }
    const old = users('old')
    await Promise.all(Array.from({ length: 5 }, () => users('new')))
    // One that waits for a Redis that is away is not waited for.
    if (this.#options.trouble !== true) await old
  }

  async #rename(app: App, op: Op, id: string): Promise<void> {
    this.renames += 1
    await app.rename(id)
    const mine = this.#writes.get(id)!.filter(({ by }) => by === op.by)
    const write = mine.find(({ savedAt, acknowledgedAt }) => {
      return savedAt > op.began && acknowledgedAt === NEVER
    })
    if (write !== undefined) write.acknowledgedAt = this.#clock += 1
  }

  #judge(id: string, read: Op, { load, version }: Profile): void {
    const loaded = this.#loaded.get(load)
    if (loaded === undefined) {
      this.violations.push(`a read of ${id} returned what nobody loaded`)
      return
    }
    for (const write of this.#writes.get(id) ?? []) {
      const isOlder = write.acknowledgedAt < read.began && write.savedAt > loaded.at
      if (!isOlder || this.#isAllowed(write, read, loaded)) continue
      const who = `a user of the ${read.side} side of the ${read.by} version`
      const from = `loaded by the ${loaded.op.by} version for a user of ${loaded.op.side}`
      this.violations.push(
        `STALE: ${who} read version ${version} of ${id}, ${from}, after the ${write.by} version had acknowledged a rename`,
      )
      return
    }
  }

  /** Rows of the table of what cannot be promised. */
  #isAllowed(write: Write, read: Op, { op: loader, elsewhere }: Load): boolean {
    const { unconditional, private: isPrivate, trouble } = this.#options
    if (isPrivate === true && write.by !== read.by) return true
    // A load that another program, or over what another program did, was storing meanwhile.
    const wasLoading = loader.ended > write.savedAt
    if (wasLoading && (loader.by === 'old' || write.by === 'old' || unconditional === true))
      return true
    // The other side's copy: it does not hear of what other programs do.
    if (write.by === 'old' && (read.side === 'on' || elsewhere)) return true
    return trouble === true && (write.by === 'old' || read.by === 'old')
  }

  #upTo(n: number): number {
    return Math.floor(this.#random() * n)
  }
}

const APPS = join(import.meta.dirname, 'apps')

/** Lines of the patched app that are not in the old one, in order. */
export function patchOf(name: string): readonly string[] {
  const [before, after] = ['before', 'after'].map((version) =>
    readFileSync(join(APPS, name, `${version}.mjs`), 'utf8').split('\n'),
  ) as [string[], string[]]
  // The longest common subsequence, as diff has it.
  const lengths = Array.from({ length: before.length + 1 }, () =>
    Array.from({ length: after.length + 1 }, () => 0),
  )
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      const same = before[i] === after[j]
      lengths[i]![j] = same
        ? lengths[i + 1]![j + 1]! + 1
        : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!)
    }
  }
  const added: string[] = []
  for (let i = 0, j = 0; j < after.length;) {
    if (i < before.length && before[i] === after[j]) {
      i += 1
      j += 1
    } else if (i < before.length && lengths[i + 1]![j]! >= lengths[i]![j + 1]!) i += 1
    else {
      added.push(after[j]!)
      j += 1
    }
  }
  return added
}

export async function createApp(name: string, version: Version, env: Env): Promise<App> {
  const file = version === 'old' ? 'before' : 'after'
  const module = (await import(`./apps/${name}/${file}.mjs`)) as {
    createApp(env: Env): App | Promise<App>
  }
  return module.createApp(env)
}
