import { describe, expect, test } from 'vitest'
import type { Ledger } from '../../src/cache/index.ts'
import { Comparisons, noTelemetry } from '../../src/telemetry/index.ts'
import { Background } from '../../src/switch/background/background.ts'
import { Coherence } from '../../src/switch/truth/coherence.ts'
import { Debts } from '../../src/switch/truth/debts.ts'
import { GuardedSide } from '../../src/switch/sides/guarded-side.ts'
import { Loads } from '../../src/switch/reads/loads.ts'
import { Moves } from '../../src/switch/reads/moves.ts'
import { Generations } from '../../src/switch/namespace.ts'
import { MemoryLedger } from '../../src/switch/truth/memory-ledger.ts'
import type { StandbyPolicy } from '../../src/switch/options.ts'
import { Origin } from '../../src/switch/reads/origin.ts'
import { UnderWay } from '../../src/switch/background/under-way.ts'
import { Upkeep } from '../../src/switch/background/upkeep.ts'
import { jsonCodec, Values } from '../../src/switch/values.ts'
import { CallerView, type ViewParts } from '../../src/switch/cache-view.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { History } from '../support/history.ts'
import { DEADLINE_MS, Schedule, SimulatedLink, SimulatedStore } from '../support/simulation.ts'
import { inFull } from '../support/full.ts'

/** The switch's own code as one process, over simulated stores that it shares with the others. */
class Process {
  readonly #parts: ViewParts
  readonly upkeep: Upkeep
  readonly debts: Debts

  constructor(schedule: Schedule, stores: Stores, policy: StandbyPolicy, timeouts: number) {
    const { ledger } = stores
    const file = new SimulatedLink('file', {
      schedule,
      store: stores.file,
      ledger,
      timeouts: 0,
      remote: schedule.chance(0.5),
    })
    const redis = new SimulatedLink('redis', {
      schedule,
      store: stores.redis,
      timeouts,
      remote: true,
    })
    // Some processes never open their breaker, some at the first failure and for good.
    const breaker = schedule.chance(0.3) ? { window: 1, failures: 1 } : { window: 31, failures: 31 }
    const common = { deadlineMs: DEADLINE_MS, breaker, recorder: noTelemetry, notify: () => {} }
    const sides = {
      off: new GuardedSide({ side: 'off', backend: file, ...common }),
      on: new GuardedSide({ side: 'on', backend: redis, ...common }),
    }
    const { recorder, notify } = common
    const maxOwed = schedule.pick([0, 1, 1000])
    const debts = new Debts({ ledger, renews: true, sides, maxOwed, recorder, notify })
    this.debts = debts
    this.upkeep = new Upkeep({ sides, debts, intervalMs: 1e9, recorder, notify })
    const coherence = new Coherence({ debts, recorder })
    const moves = new Moves({ debts, recorder })
    const comparisons = new Comparisons(recorder, () => {})
    const background = new Background({ debts, recorder, comparisons, limit: 100 })
    const values = new Values({
      codec: jsonCodec,
      maxValueBytes: 1000,
      defaultTtl: undefined,
      notify,
    })
    const losses = undefined
    const origin = new Origin({ concurrency: 100, queue: 100, loadMs: 1e9 })
    this.#parts = {
      name: 'cache',
      sides,
      decider: new FixedDecider({ on: 'on' }),
      policy: { current: policy },
      retired: undefined,
      underWay: new UnderWay(),
      coherence,
      loads: new Loads({ coherence, moves, background, origin, values, losses, recorder }),
      losses,
      generations: new Generations(sides),
      debts,
      background,
      values,
      recorder,
      compareShare: 0,
    }
  }

  for(targetingKey: string): CallerView {
    return new CallerView(this.#parts, { context: { targetingKey }, onOperation: undefined })
  }
}

interface Stores {
  readonly file: SimulatedStore
  readonly redis: SimulatedStore
  readonly ledger: Ledger
}

const KEYS = ['k', 'l']

/** Two processes, a few clients each, every operation on a side of its own choice. */
async function run(seed: number, policy: StandbyPolicy): Promise<string[]> {
  const schedule = new Schedule(seed)
  const stores = {
    file: new SimulatedStore(),
    redis: new SimulatedStore(),
    ledger: new MemoryLedger(),
  }
  const timeouts = schedule.pick([0, 0.1, 0.3])
  const processes = [0, 1].map(() => new Process(schedule, stores, policy, timeouts))
  const history = new History()
  let clock = 0
  let versions = 0
  const origin = new Map(KEYS.map((key) => [key, 'none']))

  const client = async (process: Process): Promise<void> => {
    for (let i = 0; i < 4; i += 1) {
      await schedule.turn()
      const view = process.for(schedule.pick(['on', 'off']))
      const key = schedule.pick(KEYS)
      const act = schedule.random()
      if (act < 0.3) {
        versions += 1
        const value = `v${versions}`
        origin.set(key, value)
        const invokedAt = (clock += 1)
        await view.set(key, value)
        history.writes.push({ key, invokedAt, acknowledgedAt: (clock += 1), value })
      } else if (act < 0.5) {
        versions += 1
        origin.set(key, `v${versions}`)
        const invokedAt = (clock += 1)
        await view.delete(key)
        history.writes.push({ key, invokedAt, acknowledgedAt: (clock += 1), value: undefined })
      } else if (act < 0.7) {
        const invokedAt = (clock += 1)
        const value = await view.get<string>(key)
        history.reads.push({ key, invokedAt, value })
      } else {
        const invokedAt = (clock += 1)
        const value = await view.getOrSet(key, async () => {
          const at = (clock += 1)
          versions += 1
          const loaded = `${origin.get(key)} loaded ${versions}`
          history.loads.push({ key, value: loaded, at })
          await schedule.turn()
          return loaded
        })
        history.reads.push({ key, invokedAt, value })
      }
    }
  }
  const repay = async (upkeep: Upkeep): Promise<void> => {
    for (let i = 0; i < 6; i += 1) {
      await schedule.turn()
      await upkeep.repay()
    }
  }
  /** Redis comes back with what it held a while ago, which a process notices before anything is read. */
  const restore = async (): Promise<void> => {
    await turns(schedule)
    const cells = new Map(stores.redis.cells)
    await turns(schedule)
    stores.redis.restart(cells)
    void schedule.pick(processes).debts.fence('on', 'restored', schedule.now + 1)
  }
  /** For any other reason: what is on its way is distrusted too. */
  const distrust = async (): Promise<void> => {
    await turns(schedule)
    await schedule.pick(processes).debts.fence(schedule.pick(['off', 'on']), 'distrusted')
  }
  const troubles = schedule.pick([[], [restore], [distrust], [restore, distrust]])
  const all = processes.flatMap((process) => [
    client(process),
    client(process),
    repay(process.upkeep),
  ])
  const struck = troubles.map((trouble) => trouble())
  await schedule.run()
  await Promise.all([...all, ...struck])
  schedule.calm = true
  const differing = differences(processes[0]!)
  await schedule.run()
  const violations = [...history.violations(), ...(await differing)]
  await Promise.all(processes.map(({ upkeep }) => upkeep.close()))
  return violations
}

async function turns(schedule: Schedule): Promise<void> {
  for (let left = schedule.pick([1, 4, 16, 64]); left > 0; left -= 1) await schedule.turn()
}

/**
 * Once all is quiet, users on different sides must agree about what was set. (A load may rightly see
 * another of two concurrent writes than the caches kept: no single cache orders those either.)
 */
async function differences(process: Process): Promise<string[]> {
  await process.upkeep.repay()
  const found: string[] = []
  for (const key of KEYS) {
    const [off, on] = await Promise.all(
      ['off', 'on'].map((targetingKey) => process.for(targetingKey).get<string>(key)),
    )
    const wereSet = [off, on].every((value) => value !== undefined && !value.includes('loaded'))
    if (wereSet && off !== on) {
      found.push(`${key}: in the end the file side says ${off}, Redis ${on}`)
    }
  }
  return found
}

const RUNS = Number(process.env['SWITCHBACK_RUNS'] ?? inFull(400, 1500))
const FIRST_SEED = Number(process.env['SWITCHBACK_SEED'] ?? 1)

describe('no schedule returns anything older than what was acknowledged', () => {
  for (const policy of ['invalidate', 'mirror'] as const) {
    test(
      `${policy}: ${RUNS} random schedules with lost and late answers`,
      { timeout: 600_000 },
      async () => {
        for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed += 1) {
          const violations = await run(seed, policy)
          expect(violations, `replay with SWITCHBACK_SEED=${seed} SWITCHBACK_RUNS=1`).toEqual([])
        }
      },
    )
  }
})
