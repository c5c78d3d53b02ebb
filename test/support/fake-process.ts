import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a process of the application says of itself on `/metrics`. */
export interface FakeSays {
  flag?: string
  feature?: string
  on: number
  probes?: number
  kind?: 'exact' | 'sample'
  mode?: string
  hash?: string
  up?: 0 | 1
  refused?: string | undefined
  instance?: string
  /** Whether its new side answers it. @default not told */
  newSideUp?: 0 | 1
  /** Where its cache stands. @default not told */
  stage?: string
  /** Invalidations pending. @default not told */
  owed?: number
  /** Runs without the switch. */
  plain?: boolean
  /** Accepts connections and never answers, as a stopped process. */
  frozen?: boolean
}

export interface FakeProcess extends AsyncDisposable {
  readonly url: string
  readonly port: number
  says: FakeSays
  /** How often it was asked. */
  readonly asked: number
  /** Called before each answer. */
  onAsk: (() => void) | undefined
}

/** A process as its metrics show it, for what no real one does on demand. */
export async function fakeProcess(
  says: FakeSays,
  { port = 0, host = '127.0.0.1' }: { readonly port?: number; readonly host?: string } = {},
): Promise<FakeProcess> {
  let asked = 0
  const server = createServer((_request, response) => {
    asked++
    process.onAsk?.()
    if (process.says.frozen === true) return
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
    response.end(metricsOf(process.says))
  })
  await once(server.listen(port, host), 'listening')
  const used = (server.address() as AddressInfo).port
  const process: FakeProcess = {
    url: `http://${host}:${used}/metrics`,
    port: used,
    says,
    get asked() {
      return asked
    },
    onAsk: undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return process
}

export function metricsOf(says: FakeSays): string {
  if (says.plain === true) return 'process_cpu_seconds_total 1\n'
  const { flag = 'use-redis', feature, on, probes = 100, kind = 'exact', mode = 'rpc' } = says
  const { hash = '', up = 1, refused, instance, newSideUp } = says
  const own = `flag="${flag}"${feature === undefined ? '' : `,feature="${feature}"`}`
  const lines = [
    `switchback_flags_up ${up}`,
    `switchback_live_split_probes{${own}} ${probes}`,
    `switchback_live_split_on{${own}} ${on}`,
    `switchback_live_split_ratio{${own}} ${on / probes}`,
    `switchback_live_split_since_seconds{${own}} 1700000000`,
    `switchback_live_split_info{${own},kind="${kind}",mode="${mode}",hash="${hash}"} 1`,
    `switchback_flags_refused{flag="${flag}"} ${refused === undefined ? 0 : 1}`,
  ]
  if (says.stage !== undefined) {
    lines.push(`switchback_stage_info{cache="cache",stage="${says.stage}"} 1`)
  }
  if (says.owed !== undefined) {
    lines.push(
      `switchback_owed_invalidations{cache="cache",side="on",backend="redis"} ${says.owed}`,
    )
  }
  if (instance !== undefined) {
    lines.push(`switchback_instance_info{instance_id="${instance}"} 1`)
    lines.push(`switchback_start_time_seconds 1700000000`)
  }
  if (newSideUp !== undefined) {
    lines.push(
      `switchback_side_up{cache="cache",side="off",backend="file"} 1`,
      `switchback_side_up{cache="cache",side="on",backend="redis"} ${newSideUp}`,
    )
  }
  if (refused !== undefined) {
    lines.push(
      `switchback_flags_refused_info{flag="${flag}",reason="${refused}"} 1`,
      `switchback_flags_refused_since_seconds{flag="${flag}"} 1700000060`,
    )
  }
  return `${lines.join('\n')}\n`
}
