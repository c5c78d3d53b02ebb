// A deployment on real parts: a flags file, flagd's protocols, /metrics over HTTP.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { startSidecar } from '../../src/sidecar/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { useRedis } from '../support/flags-files.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

export async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'switchback-guard-'))
  closing.push(() => rm(path, { recursive: true, force: true }))
  return path
}

async function flagsFile(on: number): Promise<string> {
  const file = join(await directory(), 'use-redis.json')
  await writeFile(file, JSON.stringify(useRedis(on), null, 2))
  return file
}

export interface Deployment {
  readonly file: string
  readonly flagd: string
  readonly plan: string
  readonly metrics: string
  /** Share of failing operations on the new side. */
  errors: number
  readonly share: () => Promise<number>
}

/** An application whose users follow what the file says, 2,000 operations at every look at its metrics. */
export async function deploy(on: number): Promise<Deployment> {
  const file = await flagsFile(on)
  const sidecar = await startSidecar({
    file,
    ports: { evaluation: 0, management: 0, sync: 0, ofrep: 0 },
  })
  closing.push(() => sidecar.close())
  const telemetry = createTelemetry({ meter: false })
  closing.push(() => telemetry.close())
  const share = async (): Promise<number> => {
    const weights = /"on",\s*([\d.]+)\s*\],\s*\[\s*"off",\s*([\d.]+)/.exec(
      await readFile(file, 'utf8'),
    )
    return Number(weights?.[1]) / (Number(weights?.[1]) + Number(weights?.[2]))
  }
  const world = { errors: 0 }
  let clock = 0
  const server = createServer((_, response) => {
    void share().then((current) => {
      for (let i = 0; i < 2000; i++) {
        clock++
        const user = clock % 997
        const side = (user * 7919) % 997 < current * 997 ? 'on' : 'off'
        const bad = side === 'on' && clock % 1000 < world.errors * 1000
        const mark = telemetry.bucketOf(`user-${user}`)
        telemetry.operation(side, 'get', bad ? 'timed_out' : 'hit', bad ? 50 : 0.4, mark)
      }
      response.end(telemetry.prometheus())
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const metrics = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
  const flagd = `http://127.0.0.1:${sidecar.ports.ofrep}`
  // Slots of two thirds of a second: three of them are soon there.
  const hasty = 'metrics: { failed: { patience: 1s } }'
  const plan = `{ steps: [10, 50], hold: 1s, settle: 0s, baselineTime: 0s, interval: 100ms, ${hasty}, replicas: ["${metrics}"] }`
  return Object.assign(world, { file, flagd, plan, metrics, share })
}
