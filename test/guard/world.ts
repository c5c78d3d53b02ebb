// A simulated deployment: real counters, users, a flags file, a clock; no waiting. What is counted comes as the series
// that its text would be read as: thousands of texts would take most of the time, and are the business of others.
import { Guard, parsePlan } from '../../src/guard/index.ts'
import type {
  Actuator,
  AuditEntry,
  GuardOptions,
  GuardState,
  GuardStatus,
  Lease,
  MetricsSource,
  Order,
  Reading,
  StateStore,
} from '../../src/guard/index.ts'
import type { Series } from '../../src/scrape/index.ts'
import { readingOf } from '../../src/guard/samples/reading.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { snapshotFamilies } from '../../src/telemetry/output/families.ts'
import type { Outcome, Telemetry } from '../../src/telemetry/index.ts'
import { SwitchbackError } from '../../src/errors.ts'
import { Random } from '../../bench/guard/random.ts'

export interface SideWorld {
  /** Shares of operations: nobody served the caller; the other side did; late. */
  failed: number
  fellBack: number
  slow: number
  repeatMisses: number
}

const USERS = 3000

/** What is real of a guard in a world: where the flags live, and what it keeps and shares. */
export interface RealParts {
  actuator(name: string): Actuator
  notes(name: string): { readonly store: StateStore; readonly lease: Lease }
}

export class World {
  now = 1_700_000_000_000
  readonly off: SideWorld = { failed: 0.0005, fellBack: 0.0005, slow: 0.001, repeatMisses: 0.001 }
  readonly on: SideWorld = { failed: 0.0005, fellBack: 0.0005, slow: 0.001, repeatMisses: 0.001 }
  /** The backend of the new side cannot be reached from this replica, since then. */
  out: { readonly replica: number; readonly since: number } | undefined
  /** One replica fails more on a side than the others. */
  sick:
    | { readonly replica: number; readonly side: 'off' | 'on'; readonly failed: number }
    | undefined
  /** What the file says; what flagd serves follows unless it is stuck. */
  percent = 0
  served = 0
  stuck = false
  plain = true
  edited = ''
  perSecond = 1000
  eventLoopDelay = 0
  replicas: Telemetry[]
  readonly down: Set<number> = new Set()
  /** Replicas that the plan names. */
  named: readonly string[] = []
  readonly audit: AuditEntry[] = []
  readonly changes: string[] = []
  failEdits = false
  saved: string | undefined
  approval: number | undefined
  order: Order | undefined
  holder: string | undefined
  readonly #random: Random
  readonly #rank: number[]

  readonly #real: RealParts | undefined

  constructor(seed: number, replicas = 2, real?: RealParts) {
    this.#real = real
    this.#random = new Random(seed)
    this.#rank = Array.from({ length: USERS }, () => this.#random.next() * 100)
    this.replicas = Array.from({ length: replicas }, () => this.#process())
  }

  close(): void {
    for (const replica of this.replicas) replica.close()
  }

  restart(replica: number): void {
    this.replicas[replica]?.close()
    this.replicas[replica] = this.#process()
  }

  /** One second of traffic. */
  second(): void {
    this.now += 1000
    if (!this.stuck) this.served = this.percent
    for (let i = 0; i < this.perSecond; i++) {
      const user = this.#random.below(USERS)
      const side = this.#rank[user]! < this.served ? 'on' : 'off'
      const index = this.#random.below(this.replicas.length)
      const sick = this.sick !== undefined && this.sick.replica === index && this.sick.side === side
      const world = sick ? { ...this[side], failed: this.sick!.failed } : this[side]
      const replica = this.replicas[index]!
      const mark = replica.bucketOf(`user-${user}`)
      const draw = this.#random.next()
      const fellBack = draw >= world.failed && draw < world.failed + world.fellBack
      const outcome: Outcome = fellBack || draw < world.failed ? 'failed' : 'hit'
      const slow = this.#random.next() < world.slow
      const ms = slow ? 80 : side === 'on' ? 1.5 : 0.3
      replica.operation(side, 'getOrSet', outcome, ms, mark, fellBack)
      if (this.#random.next() < world.repeatMisses) replica.event(side, 'repeat_miss', mark)
    }
  }

  guard(
    plan: string,
    options: Partial<
      Pick<GuardOptions, 'dryRun' | 'resume' | 'from' | 'force' | 'forget' | 'notifier'>
    > & {
      readonly name?: string
    } = {},
  ): Guard {
    const { name = 'first', ...rest } = options
    const parsed = parsePlan(plan)
    const notes = this.#real?.notes(name)
    return new Guard({
      flag: 'use-redis',
      plan: parsed,
      source: this.#source(parsed.limits.map(({ selector }) => selector)),
      actuator: this.#real ? this.#followed(this.#real.actuator(name)) : this.#actuator(),
      store: notes?.store ?? this.#store(),
      lease: notes?.lease ?? this.#lease(name),
      audit: (entry) => void this.audit.push(entry),
      now: () => this.now,
      ...rest,
    })
  }

  /** Ticks once a second until the condition holds; the seconds it took. */
  async until(
    guard: Guard,
    condition: (status: GuardStatus) => boolean,
    seconds = 4000,
  ): Promise<number> {
    for (let second = 1; second <= seconds; second++) {
      this.second()
      if (condition(await guard.tick())) return second
    }
    throw new Error(`not within ${seconds} s: ${JSON.stringify(guard.status.verdict?.reason)}`)
  }

  async run(guard: Guard, seconds: number): Promise<GuardStatus> {
    for (let second = 0; second < seconds; second++) {
      this.second()
      await guard.tick()
    }
    return guard.status
  }

  actions(): string[] {
    return this.audit.map(({ action, from, to }) => `${action} ${from}->${to}`)
  }

  find(action: AuditEntry['action']): AuditEntry | undefined {
    return this.audit.find((entry) => entry.action === action)
  }

  #process(): Telemetry {
    return createTelemetry({ meter: false, now: () => this.now })
  }

  #source(selectors: Parameters<typeof readingOf>[3]): MetricsSource {
    return {
      name: 'world',
      named: this.named,
      poll: async () => {
        const readings: Reading[] = []
        const failures: { replica: string; message: string }[] = []
        for (const [index, telemetry] of this.replicas.entries()) {
          const replica = `app-${index}:9464`
          if (this.down.has(index)) {
            failures.push({ replica, message: 'refuses the connection' })
            continue
          }
          const series = seriesOf(telemetry)
          series.push({
            name: 'switchback_event_loop_delay_seconds',
            labels: { quantile: '0.99' },
            value: this.eventLoopDelay,
          })
          series.push({
            name: 'switchback_side_out_seconds',
            labels: { side: 'on', backend: 'redis' },
            value: this.out?.replica === index ? (this.now - this.out.since) / 1000 : 0,
          })
          readings.push(readingOf(replica, this.now / 1000, series, selectors))
        }
        return { readings, failures }
      },
    }
  }

  /** Users get what the place says. */
  #followed(real: Actuator): Actuator {
    return {
      ...real,
      read: async () => {
        const split = await real.read()
        this.percent = split.percent ?? this.percent
        return split
      },
      setShare: async (percent, ...more) => {
        const effect = await real.setShare(percent, ...more)
        this.percent = percent
        this.changes.push(`${percent}`)
        return effect
      },
      rollBack: async (reason) => {
        const effect = await real.rollBack(reason)
        this.percent = 0
        this.changes.push('0')
        return effect
      },
    }
  }

  #actuator(): Actuator {
    const change = (to: number): { confirmed: boolean; lastMs: number; detail: string } => {
      if (this.failEdits) throw new SwitchbackError('SB_FILE_READ_ONLY', 'the file is read-only')
      this.percent = to
      this.changes.push(`${to}`)
      if (!this.stuck) this.served = to
      return { confirmed: !this.stuck, lastMs: 40, detail: this.stuck ? 'flagd sleeps' : '' }
    }
    return {
      read: async () => ({
        percent: this.percent,
        plain: this.plain,
        detail: '',
        edited: this.edited,
      }),
      setShare: async (percent, from) => {
        if (this.percent !== from) throw new SwitchbackError('SB_SHARE_MOVED', 'moved')
        return change(percent)
      },
      rollBack: async () => change(0),
      served: async () => ({
        same: this.served === this.percent,
        detail: this.served === this.percent ? '' : 'flagd serves something else',
      }),
    }
  }

  #store(): StateStore {
    return {
      load: async () =>
        this.saved === undefined ? undefined : (JSON.parse(this.saved) as GuardState),
      save: async (state) => {
        this.saved = JSON.stringify(state)
      },
      takeOrder: async () => {
        const { order } = this
        this.order = undefined
        return order
      },
      takeApproval: async () => {
        const { approval } = this
        this.approval = undefined
        return approval
      },
    }
  }

  #lease(name: string): Lease {
    return {
      hold: async () => {
        this.holder ??= name
        return this.holder === name ? '' : this.holder
      },
      release: async () => {
        if (this.holder === name) this.holder = undefined
      },
    }
  }
}

/** Of these the guard makes a reading. */
const IS_READ = /^switchback_(user|instance_info|start_time)/

function seriesOf(telemetry: Telemetry): Series[] {
  const read = snapshotFamilies(telemetry.snapshot()).filter(({ name }) => IS_READ.test(name))
  return read.flatMap(({ name, samples }) =>
    samples.map(({ suffix = '', labels, value }) => ({ name: `${name}${suffix}`, labels, value })),
  )
}
