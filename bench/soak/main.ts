/**
 * The soak: four app processes on one Redis Cluster, a steady mixed load, the share moved from 0 to 100
 * and back, a failover in the middle; and every answer held to the truth, as in `npm run test:chaos`.
 * Usage: npm run bench:soak -- [--seconds 300] [--seed N]
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { runChaos } from '../../test/chaos/chaos-run.ts'
import type { Scene } from '../../test/chaos/fault.ts'
import { FAULTS } from '../../test/chaos/faults.ts'
import { PROFILES } from '../../test/chaos/profiles.ts'
import { randomFor } from '../../test/chaos/random.ts'
import { failure, summary } from '../../test/chaos/report.ts'
import { useRedis } from '../../test/support/flags-files.ts'
import { table } from './table.ts'

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
async function rollOutAndBack({ seconds, seed }: Soak, scene: Omit<Scene, 'random'>) {
  const step = (seconds * 1000) / SHARES.length
  const random = randomFor(seed, 'failover')
  const failover = delay((seconds * 1000) / 2).then(() =>
    FAULTS['failover']!.strike({ ...scene, random }),
  )
  for (const share of SHARES) {
    scene.flags.write(useRedis(share))
    await delay(step)
  }
  await failover
}

async function main(soak: Soak): Promise<number> {
  const result = await runChaos({
    name: 'soak',
    ...soak,
    profile: {
      ...PROFILES['cluster']!,
      sources: ['rpc', 'in-process', 'rpc', 'in-process'],
      stages: [{ standby: 'invalidate' }],
      mix: {
        get: 40,
        getOrSet: 40,
        slow: 0,
        nested: 0,
        set: 12,
        delete: 8,
        deleteMany: 0,
        burst: 0,
        clear: 0,
      },
      keys: 2000,
      pauseMs: 20,
      shortTtls: 0,
      aborts: 0,
    },
    during: (scene) => rollOutAndBack(soak, scene),
    onRecords: (logs) => console.log(table(logs)),
  })
  console.log(summary(result))
  if (result.problems.length > 0) console.log(failure(result))
  return result.problems.length === 0 ? 0 : 1
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
