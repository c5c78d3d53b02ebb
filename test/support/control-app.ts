import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expectationOf, loadFlags } from '../../src/rollout/index.ts'
import { createTelemetry, type Telemetry } from '../../src/telemetry/index.ts'
import type { Side } from '../../src/side.ts'
import { type FakeSays, metricsOf } from './fake-process.ts'

/** How an arm does, as the control page will see it. */
export interface ArmBehaviour {
  readonly perSecond: number
  readonly bad: number
  readonly hitRate: number
  /** Median of an operation. */
  readonly ms: number
}

/**
 * An application as the control page knows one: real telemetry behind a real `/metrics`, with traffic
 * made up by the test.
 */
export interface ControlApp extends AsyncDisposable {
  readonly url: string
  readonly telemetry: Telemetry
  readonly arms: Record<Side, ArmBehaviour>
  /** What happens to every scrape; `undefined`: it is answered. */
  answer: ((server: Server) => string | undefined) | undefined
  /** The flags file that the application decides by; it says so in its metrics. */
  follows: string | undefined
  /** What it says of its decisions instead. */
  says: FakeSays | undefined
}

export async function startControlApp(
  arms: Partial<Record<Side, Partial<ArmBehaviour>>> = {},
  port = 0,
): Promise<ControlApp> {
  const telemetry = createTelemetry({ meter: false })
  let own: FakeSays | undefined
  const server = createServer(async (_request, response) => {
    const { follows, says } = app
    // A file that a test breaks is not followed: the application goes on by what it had.
    const file = follows && (await loadFlags(follows).catch(() => undefined))
    const expected = file && expectationOf(file, 'use-redis')
    if (expected) own = { on: expected.on(''), hash: expected.hash }
    const told = says ?? own
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
    response.end(`${telemetry.prometheus()}${told === undefined ? '' : metricsOf(told)}`)
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const usual = { perSecond: 200, bad: 0, hitRate: 0.9, ms: 0.4 }
  const app: ControlApp = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`,
    telemetry,
    arms: { off: { ...usual, ...arms.off }, on: { ...usual, ms: 0.9, ...arms.on } },
    answer: undefined,
    follows: undefined,
    says: undefined,
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      telemetry.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  const timer = setInterval(() => {
    for (const side of ['off', 'on'] as const) simulate(telemetry, side, app.arms[side])
  }, 100)
  return app
}

function simulate(telemetry: Telemetry, side: Side, arm: ArmBehaviour): void {
  const count = Math.floor(arm.perSecond / 10 + Math.random())
  for (let i = 0; i < count; i++) {
    const bucket = telemetry.bucketOf(`user_${Math.floor(Math.random() * 2000)}`)
    const duration = arm.ms * Math.exp((Math.random() + Math.random() + Math.random() - 1.5) * 1.8)
    if (Math.random() < arm.bad) {
      telemetry.operation(
        side,
        'getOrSet',
        Math.random() < 0.7 ? 'failed' : 'fell_back',
        60 * duration,
        bucket,
      )
    } else if (Math.random() < arm.hitRate) {
      telemetry.operation(side, 'getOrSet', 'hit', duration, bucket)
    } else {
      telemetry.operation(side, 'getOrSet', 'miss', duration, bucket)
      telemetry.originLoad(side, 25, true)
    }
  }
}
