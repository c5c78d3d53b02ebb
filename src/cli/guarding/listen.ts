import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { quote, SwitchbackError } from '../../errors.ts'
import type { GuardMetrics } from '../../guard/index.ts'
import { usageError } from '../framework/command.ts'

export interface MetricsListenOptions {
  /** `3003` on loopback, or `0.0.0.0:3003`. */
  readonly address: string
  readonly metrics: GuardMetrics
  /** A guard that has not looked for so long is not healthy, in milliseconds. */
  readonly lateMs: number
}

/** Serves the guard's `/metrics`, and `/healthz`, which is 503 when it no longer looks. */
export async function listenForMetrics(
  options: MetricsListenOptions,
): Promise<AsyncDisposable & { readonly url: string }> {
  const { host, port } = parseAddress(options.address)
  const { metrics, lateMs } = options
  const begunAt = Date.now()
  const server = createServer(({ method, url }, response) => {
    if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(405).end()
    if (url === '/metrics') {
      response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8')
      return void response.end(metrics.text())
    }
    if (url !== '/healthz') return void response.writeHead(404).end()
    const silentMs = Date.now() - Math.max(metrics.polledAt, begunAt)
    const status = silentMs > lateMs ? `no poll for ${Math.round(silentMs / 1000)} s` : 'ok'
    response.writeHead(status === 'ok' ? 200 : 503, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ status }))
  })
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw new SwitchbackError('SB_CONTROL_LISTEN', `cannot listen on ${host}:${port}`, {
      hint: 'stop the other process, or choose another port with --listen (0 for any free one)',
      cause,
    })
  }
  const { port: used } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${used}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const [, host = '127.0.0.1', port = ''] = /^(?:\[?([^\]]+?)\]?:)?(\d{1,5})$/.exec(text) ?? []
  if (port !== '' && Number(port) <= 65_535) return { host, port: Number(port) }
  throw usageError(`--listen cannot be ${quote(text)}`, 'write 3003, or 0.0.0.0:3003')
}
