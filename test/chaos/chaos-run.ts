import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { seeded } from '../support/simulation.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { type ChaosRecord, readRecord } from './record.ts'

export interface ChaosOptions {
  readonly seconds: number
  readonly seed: number
  /** @default 3 */
  readonly processes?: number
  /** Concurrent clients in each process. @default 6 */
  readonly clients?: number
  /** @default 24 */
  readonly keys?: number
  /** @default 'invalidate' */
  readonly standby?: string
  /** Longest pause of a client between two operations. @default 4 */
  readonly pauseMs?: number
  readonly redisArgs?: readonly string[]
  /** Names of {@link FAULTS}. @default all */
  readonly faults?: readonly FaultName[]
}

interface Stage {
  readonly redis: TestRedis
  readonly proxy: TcpProxy
  readonly random: () => number
  readonly workers: Worker[]
  /** Directory of the file store. */
  readonly store: string
}

export type FaultName =
  | 'freeze'
  | 'killEmpty'
  | 'killWithOldData'
  | 'clientKill'
  | 'clientPause'
  | 'stall'
  | 'cut'
  | 'slow'
  | 'refuse'
  | 'killProcess'
  | 'fullMemory'
  | 'narrow'
  | 'damageStore'

/** Each fault ends with the system able to recover, so that the next meets it at any stage of that. */
export const FAULTS: Readonly<Record<FaultName, (stage: Stage) => Promise<void>>> = {
  async freeze({ redis, random }: Stage) {
    redis.freeze()
    await delay(random() * 700)
    redis.thaw()
  },
  async killEmpty({ redis, random }: Stage) {
    await redis.kill()
    await delay(random() * 500)
    await redis.restart()
  },
  async killWithOldData({ redis, random }: Stage) {
    await redis.snapshot()
    await delay(random() * 300)
    await redis.kill()
    await delay(random() * 300)
    await redis.restart({ keepData: true })
  },
  async clientKill({ redis }: Stage) {
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  },
  async clientPause({ redis, random }: Stage) {
    await redis.command('CLIENT', 'PAUSE', String(Math.floor(random() * 400)), 'ALL')
  },
  async stall({ proxy, random }: Stage) {
    proxy.stall()
    await delay(random() * 600)
    proxy.resume()
  },
  async cut({ proxy }: Stage) {
    proxy.cut()
  },
  async slow({ proxy, random }: Stage) {
    proxy.delay(random() * 150)
    await delay(500)
    proxy.delay(0)
  },
  async refuse({ proxy, random }: Stage) {
    proxy.refuse()
    await delay(random() * 600)
    proxy.accept()
  },
  async fullMemory({ redis, random }) {
    await redis.command('CONFIG', 'SET', 'maxmemory', '1')
    await delay(random() * 500)
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  },
  async narrow({ proxy, random }) {
    proxy.limit(20_000 + random() * 200_000)
    await delay(500)
    proxy.limit(Number.POSITIVE_INFINITY)
  },
  async damageStore({ store, random }) {
    const files = ['cache.db', 'cache.db-wal', 'cache.control'].map((name) => join(store, name))
    const file = files[Math.floor(random() * files.length)]!
    if (!existsSync(file)) return
    const { size } = statSync(file)
    const handle = openSync(file, 'r+')
    writeSync(handle, Buffer.alloc(4096, 0xa5), 0, 4096, Math.floor(random() * Math.max(1, size)))
    closeSync(handle)
  },
  async killProcess({ workers, random }: Stage) {
    await workers[Math.floor(random() * workers.length)]!.killAndRestart()
  },
}

export interface ChaosReport extends ChaosRecord {
  /** The faults in the order in which they were made. */
  readonly faults: readonly FaultName[]
}

/** Runs the application under a random schedule of faults and reads back what its clients saw. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const random = seeded(options.seed)
  const directory = mkdtempSync(join(tmpdir(), 'switchback-chaos-'))
  const redis = await startRedis({ args: options.redisArgs ?? [] })
  const proxy = await startTcpProxy(redis.port)
  const workers = Array.from(
    { length: options.processes ?? 3 },
    (_, i) => new Worker(`p${i}`, directory, `redis://127.0.0.1:${proxy.port}`, options),
  )
  const made: FaultName[] = []
  try {
    await Promise.all(workers.map((worker) => worker.start()))
    const names = options.faults ?? (Object.keys(FAULTS) as FaultName[])
    const end = performance.now() + options.seconds * 1000
    while (performance.now() < end) {
      await delay(50 + random() * 350)
      const name = names[Math.floor(random() * names.length)]
      if (name === undefined) continue
      made.push(name)
      await FAULTS[name]({ redis, proxy, random, workers, store: join(directory, 'store') })
    }
    await Promise.all(workers.map((worker) => worker.stop()))
    return {
      ...readRecord(workers.map((worker) => readFileSync(worker.record, 'utf8'))),
      faults: made,
    }
  } finally {
    for (const worker of workers) worker.kill()
    await proxy.close()
    await redis.stop()
    rmSync(directory, { recursive: true, force: true })
  }
}

class Worker {
  readonly record: string
  readonly #arguments: string
  #child: ChildProcess | undefined

  constructor(id: string, directory: string, redisUrl: string, options: ChaosOptions) {
    this.record = join(directory, `${id}.log`)
    this.#arguments = JSON.stringify({
      id,
      redisUrl,
      directory: join(directory, 'store'),
      record: this.record,
      keys: Array.from({ length: options.keys ?? 24 }, (_, i) => `key ${i}`),
      clients: options.clients ?? 6,
      standby: options.standby ?? 'invalidate',
      pauseMs: options.pauseMs ?? 4,
      tombstoneTtl: 60_000,
    })
  }

  async start(): Promise<void> {
    const child = fork(join(import.meta.dirname, 'worker.mjs'), [this.#arguments], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    const [message] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit'),
    ])) as unknown[]
    if (typeof message !== 'object')
      throw new Error(`a worker did not start: exit ${String(message)}`)
  }

  async killAndRestart(): Promise<void> {
    const child = this.#child!
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    await this.start()
  }

  async stop(): Promise<void> {
    const child = this.#child!
    if (child.exitCode !== null) throw new Error(`a worker died: exit ${child.exitCode}`)
    const gone = once(child, 'exit')
    child.send('stop')
    await gone
  }

  kill(): void {
    this.#child?.kill('SIGKILL')
  }
}
