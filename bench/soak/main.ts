/**
 * The soak: four app processes with a sidecar each on one Redis Cluster, a steady mixed load, the share
 * moved from 0 to 100 and back, a failover in the middle; and every guarantee held against what the
 * clients saw. Usage: npm run bench:soak -- [--seconds 300] [--seed N]
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { recovery } from '../../test/chaos/chaos-run.ts'
import { FAULTS } from '../../test/chaos/faults.ts'
import { randomFor } from '../../test/chaos/random.ts'
import { readRecord } from '../../test/chaos/record.ts'
import { type RedisStage, startStage } from '../../test/chaos/stage.ts'
import { judge, LIMITS } from '../../test/chaos/verdict.ts'
import { Worker } from '../../test/chaos/workers.ts'
import { FlagsFile, useRedis } from '../../test/support/flags-files.ts'
import { type SidecarProcess, startSidecarProcess } from '../../test/support/sidecar-process.ts'
import { footer, table } from './table.ts'

const APPS = 4
const KEYS = 2000
const TOMBSTONE_TTL = 120_000
/** Each for the same time. */
const SHARES = [0, 1, 5, 10, 25, 50, 75, 100, 100, 75, 50, 25, 10, 0]

interface Soak {
  readonly seconds: number
  readonly seed: number
}

function readOptions(): Soak {
  const text = { type: 'string' } as const
  const { values } = parseArgs({ options: { seconds: text, seed: text } })
  const seconds = Number(values.seconds ?? 300)
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9))
  if (!(seconds >= 10)) throw new Error(`--seconds must be at least 10, not "${values.seconds}"`)
  if (!(seed >= 0)) throw new Error(`--seed must be a number, not "${values.seed}"`)
  return { seconds, seed }
}

/** Moves the share through its steps; a master dies in the middle. */
async function rollOutAndBack({ seconds, seed }: Soak, flags: FlagsFile, redis: RedisStage) {
  const step = (seconds * 1000) / SHARES.length
  const failover = delay((seconds * 1000) / 2).then(() => failOver(seed, redis))
  for (const share of SHARES) {
    flags.write(useRedis(share))
    await delay(step)
  }
  await failover
}

async function failOver(seed: number, redis: RedisStage): Promise<void> {
  const random = randomFor(seed, 'failover')
  // It concerns nothing but the servers.
  await FAULTS['failover']!.strike({ redis, random } as never)
}

async function main(soak: Soak): Promise<number> {
  const logs = mkdtempSync(join(tmpdir(), 'switchback-soak-'))
  const flags = new FlagsFile()
  flags.write(useRedis(0))
  const sidecars: SidecarProcess[] = []
  const workers: Worker[] = []
  const redis = await startStage('cluster')
  try {
    for (let i = 0; i < APPS; i += 1) {
      const sidecar = await startSidecarProcess({ file: flags.path })
      sidecars.push(sidecar)
      const { evaluation, sync } = sidecar.ports
      workers.push(
        new Worker({
          id: `app${i}`,
          logs,
          directory: join(logs, 'store'),
          connection: redis.connection,
          flags:
            i % 2 === 0
              ? { FLAGD_RESOLVER: 'rpc', FLAGD_PORT: `${evaluation}` }
              : { FLAGD_RESOLVER: 'in-process', FLAGD_SYNC_PORT: `${sync}` },
          seed: soak.seed,
          keys: Array.from({ length: KEYS }, (_, key) => `key ${key}`),
          users: 5000,
          clients: 6,
          standby: 'invalidate',
          pauseMs: 20,
          tombstoneTtl: TOMBSTONE_TTL,
          slowLoads: 0,
        }),
      )
    }
    await Promise.all(workers.map((worker) => worker.start()))
    await rollOutAndBack(soak, flags, redis)
    await Promise.all(workers.map((worker) => worker.quiesce()))
    const problems: string[] = []
    const repaidMs = await recovery(workers, problems)
    await Promise.all(workers.map((worker) => worker.end()))
    for (const { died } of workers) if (died !== undefined) problems.push(died)

    const record = readRecord(workers.map((worker) => readFileSync(worker.record, 'utf8')))
    const verdict = judge(record, [], { ...LIMITS, tombstoneTtl: TOMBSTONE_TTL })
    console.log(table(record))
    console.log(footer(record, verdict, repaidMs))
    const all = [...problems, ...verdict.problems]
    for (const problem of all.slice(0, 20)) console.log(problem)
    if (all.length > 0) console.log(`logs: ${logs}`)
    else rmSync(logs, { recursive: true, force: true })
    return all.length === 0 ? 0 : 1
  } finally {
    for (const worker of workers) worker.kill()
    await Promise.all(sidecars.map((sidecar) => sidecar.kill()))
    await redis.stop()
    flags[Symbol.dispose]()
  }
}

function readOrExit(): Soak {
  try {
    return readOptions()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(2)
  }
}

const soak = readOrExit()
console.log(`soak: ${soak.seconds} s, seed ${soak.seed}`)
process.exitCode = await main(soak)
