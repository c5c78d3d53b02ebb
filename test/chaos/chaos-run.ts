import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SmallDisk } from '../support/file-disk.ts'
import { FlagsFile, useRedis } from '../support/flags-files.ts'
import { startSidecarProcess } from '../support/sidecar-process.ts'
import type { Scene } from './fault.ts'
import { faultsFor, missing } from './faults.ts'
import { type ChaosRecord, readRecord } from './record.ts'
import { strikeAll } from './schedule.ts'
import { startStage, type Topology } from './stage.ts'
import { judge, LIMITS, type Struck, type Verdict } from './verdict.ts'
import { WallClock } from './wall-clock.ts'
import { Worker, type WorkerOptions } from './workers.ts'

export interface ChaosOptions {
  readonly seconds: number
  readonly seed: number
  /** @default 'standalone' */
  readonly topology?: Topology
  /** @default 'invalidate' */
  readonly standby?: string
  /** Names of faults. @default all that concern the topology and do not run apart */
  readonly faults?: readonly string[]
  /** @default one with random sides, one each with rpc, in-process and file */
  readonly sources?: readonly Source[]
  /** Concurrent clients in each process. @default 6 */
  readonly clients?: number
  /** @default 24 */
  readonly keys?: number
  /** @default 2000 */
  readonly users?: number
  /** Longest pause of a client between two operations. @default 4 */
  readonly pauseMs?: number
  /** See `WorkerOptions`. */
  readonly planted?: WorkerOptions['planted']
}

export const SOURCES = ['random', 'rpc', 'in-process', 'file'] as const

/** Where a process asks for the side of a user. */
export type Source = (typeof SOURCES)[number]

export interface ChaosReport {
  readonly options: ChaosOptions
  readonly record: ChaosRecord
  readonly verdict: Verdict
  /** The faults in the order in which they ended. */
  readonly struck: readonly Struck[]
  /** Faults that this machine cannot have, with the reason. */
  readonly leftOut: ReadonlyMap<string, string>
  /** How long the load lasted. */
  readonly seconds: number
  /** Milliseconds until nothing was owed and everybody was well; undefined: it was not. */
  readonly repaidMs: number | undefined
  /** Where the records are, when a guarantee was broken. */
  readonly logs: string
}

const TOMBSTONE_TTL = 60_000
const RECOVERY_MS = 30_000
const DISK_MIB = 64

/** Runs the application under a random schedule of faults and holds what its clients saw to the guarantees. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const logs = mkdtempSync(join(tmpdir(), 'switchback-chaos-'))
  const disk = SmallDisk.mount(DISK_MIB)
  const flags = new FlagsFile()
  const endings: (() => unknown)[] = []
  let problems = 0
  /** Synchronous, since it is what an interrupted run has time for. */
  const tidyUp = (): void => {
    disk?.unmount()
    flags[Symbol.dispose]()
    if (problems === 0) rmSync(logs, { recursive: true, force: true })
  }
  process.once('exit', tidyUp)
  try {
    const report = await run(options, {
      logs,
      disk,
      flags,
      finallyDo: (ending) => endings.push(ending),
    })
    problems = report.verdict.problems.length
    return report
  } finally {
    // Whatever could not start cannot be stopped either; the others can.
    for (const ending of endings.toReversed()) {
      await Promise.resolve()
        .then(ending)
        .catch(() => undefined)
    }
    process.off('exit', tidyUp)
    tidyUp()
  }
}

interface Site {
  readonly logs: string
  readonly disk: SmallDisk | undefined
  readonly flags: FlagsFile
  readonly finallyDo: (ending: () => unknown) => void
}

async function run(
  options: ChaosOptions,
  { logs, disk, flags, finallyDo }: Site,
): Promise<ChaosReport> {
  const { seed, seconds, topology = 'standalone', standby = 'invalidate' } = options
  const clocks = makeClocks(logs)
  finallyDo(() => closeClocks(clocks))
  flags.write(useRedis(50))
  const starting = startStage(topology, clocks === undefined ? {} : { env: clocks.redis.env })
  starting.catch(() => undefined)
  finallyDo(async () => (await starting).stop())
  const sidecar = await startSidecarProcess({ file: flags.path })
  finallyDo(() => sidecar.kill())
  const redis = await starting

  const keys = Array.from({ length: options.keys ?? 24 }, (_, i) => `key ${i}`)
  const store = join(disk?.path ?? logs, 'store')
  const common: Omit<WorkerOptions, 'id' | 'flags'> = {
    logs,
    directory: store,
    connection: redis.connection,
    seed,
    keys,
    standby,
    users: options.users ?? 2000,
    clients: options.clients ?? 6,
    pauseMs: options.pauseMs ?? 4,
    tombstoneTtl: TOMBSTONE_TTL,
    slowLoads: 0.2,
    planted: options.planted,
    env: clocks?.app.env ?? {},
  }
  const environments = {
    random: 'random',
    rpc: { FLAGD_RESOLVER: 'rpc', FLAGD_PORT: `${sidecar.ports.evaluation}` },
    'in-process': { FLAGD_RESOLVER: 'in-process', FLAGD_SYNC_PORT: `${sidecar.ports.sync}` },
    file: { FLAGD_RESOLVER: 'file', FLAGD_OFFLINE_FLAG_SOURCE_PATH: flags.path },
  } as const
  const workers = (options.sources ?? SOURCES).map(
    (source, i) => new Worker({ ...common, id: `p${i}-${source}`, flags: environments[source] }),
  )
  const auditor = new Worker({ ...common, id: 'audit', flags: 'random', audit: true })
  finallyDo(() => [...workers, auditor].forEach((worker) => worker.kill()))
  await Promise.all(workers.map((worker) => worker.start()))

  const scene = { redis, workers, store, keys, flags, sidecar, disk, clocks }
  const faults = faultsFor(topology, options.faults)
  const leftOut = missing(faults, scene)
  const problems: string[] = []
  const began = performance.now()
  const struck = await strikeAll(scene, faults, leftOut, { seed, seconds, logs })
  await redis.healed()
  if (!sidecar.alive) await sidecar.restart()
  flags.write(useRedis(50))
  // Whoever was out meets the healed world under load, as it would in production.
  await delay(1000)
  await Promise.all(workers.map((worker) => worker.quiesce()))
  const lasted = (performance.now() - began) / 1000
  const repaidMs = await recovery(workers, problems)
  await auditor.start()
  await Promise.all([...workers, auditor].map((worker) => worker.end()))
  for (const { died } of workers) if (died !== undefined) problems.push(died)

  const record = readRecord([...workers, auditor].map((one) => readFileSync(one.record, 'utf8')))
  const judged = judge(record, struck, { ...LIMITS, tombstoneTtl: TOMBSTONE_TTL })
  const verdict = { ...judged, problems: [...problems, ...judged.problems] }
  const named = { ...options, topology, standby }
  return { options: named, record, verdict, struck, leftOut, seconds: lasted, repaidMs, logs }
}

function makeClocks(logs: string): Scene['clocks'] {
  const [app, redis] = [WallClock.make(logs, 'app'), WallClock.make(logs, 'redis')]
  return app === undefined || redis === undefined ? undefined : { app, redis }
}

function closeClocks(clocks: Scene['clocks']): void {
  clocks?.app.close()
  clocks?.redis.close()
}

/** Milliseconds until nothing is owed and everybody is well; undefined: they are not, and who is not. */
export async function recovery(
  workers: readonly Worker[],
  problems: string[],
): Promise<number | undefined> {
  const began = performance.now()
  for (;;) {
    const reports = await Promise.all(workers.map((worker) => worker.health()))
    const unwell = reports.flatMap(({ ok, off, on, flags }, i) =>
      ok && off.owed + on.owed === 0
        ? []
        : [`${workers[i]!.id}: ${JSON.stringify({ off, on, flags })}`],
    )
    const took = performance.now() - began
    if (unwell.length === 0) return took
    if (took > RECOVERY_MS) {
      problems.push(...unwell.map((one) => `not well ${RECOVERY_MS / 1000} s after all: ${one}`))
      return undefined
    }
    await delay(100)
  }
}
