// Cost of a decision, beside the SDK client's own evaluation in the same run:
// `node --expose-gc bench/decision.ts` (Node >= 22.18), or the same file of a build.
import { FlagdCore } from '@openfeature/flagd-core'
import { OpenFeature } from '@openfeature/server-sdk'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { flagsFromEnvironment, runAs } from '../src/flags/index.ts'
import type { Decider, DecisionContext } from '../src/flags/index.ts'
import { startSidecar } from '../src/sidecar/index.ts'

const USERS = 10_000
const ROUNDS = 7
const FLAGS = {
  flags: {
    'use-redis': {
      state: 'ENABLED',
      variants: { on: true, off: false },
      defaultVariant: 'off',
      targeting: {
        fractional: [
          ['on', 50],
          ['off', 50],
        ],
      },
    },
  },
}

interface Measure {
  readonly name: string
  readonly times: number
  /** Runs `times` decisions. */
  readonly run: (times: number) => unknown
  readonly nanoseconds: number[]
}

const users = Array.from({ length: USERS }, (_, i) => `user-${String(i).padStart(15, '0')}`)
const contexts = users.map((targetingKey) => ({ targetingKey }))
const withPlan = users.map((targetingKey) => ({ targetingKey, plan: 'internal' }))
const frozen = users.map((targetingKey) => Object.freeze({ targetingKey, plan: 'internal' }))

let on = 0

function decideAll(decider: Decider, asked: readonly DecisionContext[]): (times: number) => void {
  return (times) => {
    for (let i = 0; i < times; i++) {
      const decision = decider.decide(asked[i % USERS])
      if (!(decision instanceof Promise) && decision.side === 'on') on++
    }
  }
}

async function warm(decider: Decider, asked: readonly DecisionContext[]): Promise<void> {
  for (const context of asked) await decider.decide(context)
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-bench-'))
  const file = join(directory, 'flags.json')
  writeFileSync(file, JSON.stringify(FLAGS))
  const ports = { evaluation: 0, management: 0, sync: 0, ofrep: 0 }
  const sidecar = await startSidecar({ file, ports })
  const environment = (resolver: string, port: number): Record<string, string> => ({
    FLAGD_HOST: '127.0.0.1',
    FLAGD_PORT: `${port}`,
    FLAGD_RESOLVER: resolver,
  })
  const inProcess = await flagsFromEnvironment(environment('in-process', sidecar.ports.sync), {
    domain: 'in-process',
  })
  const rpc = await flagsFromEnvironment(environment('rpc', sidecar.ports.evaluation), {
    domain: 'rpc',
  })
  const client = OpenFeature.getClient('in-process')
  const rpcClient = OpenFeature.getClient('rpc')
  const decider = inProcess.createDecider({
    flag: 'use-redis',
    feature: 'users',
    rememberMs: 3_600_000,
  })
  await warm(decider, contexts)
  await warm(decider, withPlan)
  const live = inProcess.createDecider({ flag: 'use-redis', rememberMs: 0 })
  const core = new FlagdCore()
  core.setConfigurations(JSON.stringify(FLAGS))

  const measure = (name: string, times: number, run: (times: number) => unknown): Measure => ({
    name,
    times,
    run,
    nanoseconds: [],
  })
  const measures = [
    measure('remembered, targetingKey only', 1_000_000, decideAll(decider, contexts)),
    measure('remembered, from the transaction context', 500_000, (times) => {
      runAs('user-000000000000007', () => {
        for (let i = 0; i < times; i++) decider.decide()
      })
    }),
    measure('remembered, two attributes, frozen', 500_000, decideAll(decider, frozen)),
    measure('remembered, two attributes', 200_000, decideAll(decider, withPlan)),
    measure('live, in-process', 20_000, async (times) => {
      for (let i = 0; i < times; i++) await live.decide(contexts[i % USERS])
    }),
    measure('SDK client, in-process provider', 20_000, async (times) => {
      for (let i = 0; i < times; i++) {
        await client.getBooleanValue('use-redis', false, contexts[i % USERS])
      }
    }),
    measure('SDK client, rpc provider', 500, async (times) => {
      for (let i = 0; i < times; i++) {
        await rpcClient.getBooleanValue('use-redis', false, contexts[i % USERS])
      }
    }),
    measure('flagd-core alone', 100_000, (times) => {
      for (let i = 0; i < times; i++) {
        core.resolveBooleanEvaluation('use-redis', false, contexts[i % USERS])
      }
    }),
  ]
  for (let round = 0; round < ROUNDS; round++) {
    for (const { times, run, nanoseconds } of measures) {
      const start = process.hrtime.bigint()
      await run(times)
      nanoseconds.push(Number(process.hrtime.bigint() - start) / times)
    }
  }
  console.log(`${'a decision'.padEnd(44)} ${'median'.padStart(10)} ${'best'.padStart(10)} ns`)
  for (const { name, nanoseconds } of measures) {
    const sorted = nanoseconds.toSorted((a, b) => a - b)
    const median = sorted[Math.floor(ROUNDS / 2)] as number
    const cells = [median, sorted[0] as number].map((value) => value.toFixed(0).padStart(10))
    console.log(`${name.padEnd(44)} ${cells.join(' ')}`)
  }
  await remembering(inProcess.createDecider({ flag: 'use-redis', rememberMs: 3_600_000 }))

  await decider.close()
  await live.close()
  await Promise.all([inProcess.close(), rpc.close()])
  await sidecar.close()
  rmSync(directory, { recursive: true })
  if (on < 0) console.log(on)
}

/** Bytes on the heap for each remembered decision, the memory's own copy of the key included. */
async function remembering(decider: Decider): Promise<void> {
  const collect = globalThis.gc
  if (collect === undefined) {
    console.log('run with --expose-gc for the bytes of a remembered decision')
    return
  }
  const count = 45_000
  await collect()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < count; i++) {
    await decider.decide({ targetingKey: `someone-${String(i).padStart(12, '0')}` })
  }
  await collect()
  const bytes = (process.memoryUsage().heapUsed - before) / count
  console.log(`${'bytes per remembered decision (20-letter key)'.padEnd(44)} ${bytes.toFixed(0)} B`)
  await decider.close()
}

await main()
