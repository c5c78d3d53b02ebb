import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import type { CacheSwitch } from '../switch/index.ts'
import { PROMETHEUS_CONTENT_TYPE, type Telemetry } from '../telemetry/index.ts'
import { createApp } from './create-app.ts'
import { createMetricsListener } from './http/metrics-listener.ts'
import type { UserRepository } from './users/user-repository.ts'

export interface ListenOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
}

export interface ServiceOptions {
  readonly cache: CacheSwitch
  readonly repository: UserRepository
  readonly telemetry: Pick<Telemetry, 'prometheus'>
  readonly logger: FastifyBaseLogger
  readonly http: ListenOptions
  readonly metrics: ListenOptions
  /** How long requests under way may take after {@link Service.close}, in milliseconds. @default 10000 */
  readonly drainMs?: number
}

/** The reference service, listening. */
export interface Service {
  /** E.g. `http://127.0.0.1:3000`. */
  readonly url: string
  readonly metricsUrl: string
  /**
   * Stops listening, lets requests under way finish within the deadline, then cuts the rest. The
   * cache stays open: it belongs to its owner.
   */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Starts the service and, on its own listener, its metrics.
 * @throws Error with code `EADDRINUSE`, `EACCES`, ... and `port` when it cannot listen on a port
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { cache, repository, telemetry, logger, http, metrics, drainMs = 10_000 } = options
  let closing: Promise<void> | undefined
  const app = createApp({ cache, repository, logger, draining: () => closing !== undefined })
  const scraped = createMetricsListener({
    render: () => telemetry.prometheus(),
    contentType: PROMETHEUS_CONTENT_TYPE,
  })
  try {
    await app.listen({ ...http })
    await listen(scraped, metrics)
  } catch (error) {
    scraped.close()
    await app.close()
    throw error
  }

  const drain = async (): Promise<void> => {
    const cut = setTimeout(() => app.server.closeAllConnections(), drainMs)
    await app.close()
    clearTimeout(cut)
    scraped.closeAllConnections()
    await new Promise<unknown>((resolve) => {
      scraped.close(resolve)
    })
  }
  const close = (): Promise<void> => (closing ??= drain())
  return {
    url: urlOf(app.server),
    metricsUrl: `${urlOf(scraped)}/metrics`,
    close,
    [Symbol.asyncDispose]: close,
  }
}

function listen(server: Server, { host, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
