import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { setTimeout as delay } from 'node:timers/promises'
import { connectHandler } from './grpc/connect.ts'
import { grpcEndpoint, httpEndpoint } from './http/endpoint.ts'
import type { Endpoint } from './http/endpoint.ts'
import { EvaluationCalls } from './evaluation-calls.ts'
import { evaluationService } from './grpc/evaluation-service.ts'
import { FlagStore } from './flags/flag-store.ts'
import { WatchedFlagsFile } from './flags/watched-flags-file.ts'
import type { SidecarLogEntry } from './flags/watched-flags-file.ts'
import { managementHandler } from './http/management.ts'
import { SidecarMetrics } from './sidecar-metrics.ts'
import { ofrepHandler } from './http/ofrep-handler.ts'
import { evaluationV1, evaluationV2, flagSync, readingContexts } from './grpc/protocol.ts'
import { OpenStreams } from './grpc/open-streams.ts'
import { syncService } from './grpc/sync-service.ts'

export interface SidecarPorts {
  /** gRPC evaluation, v1 and v2, and its unary calls as HTTP/JSON. @default 8013 */
  readonly evaluation: number
  /** `/healthz`, `/readyz`, `/metrics`. @default 8014 */
  readonly management: number
  /** gRPC sync, for in-process providers. @default 8015 */
  readonly sync: number
  /** OFREP over HTTP. @default 8016 */
  readonly ofrep: number
}

export interface SidecarOptions {
  /**
   * The flags file, or a directory whose files are loaded in the order of their names. Of several, and
   * in a directory, the last that has a flag counts. Selectors know each by the path that is given here.
   */
  readonly file: string | readonly string[]
  /** @default '127.0.0.1' */
  readonly host?: string
  /** Ports to listen on; 0 takes a free one. @default flagd's own: 8013 to 8016 */
  readonly ports?: Partial<SidecarPorts>
  /** Receives events: flags put in force, and content that was refused. @default none */
  readonly onLog?: (entry: SidecarLogEntry) => void
  /** Largest request in bytes: bounds what one evaluation context costs. @default flagd's own: 1000000 */
  readonly maxRequestBytes?: number
  /**
   * Milliseconds for which the sync port answers no request while a file was never good: in-process
   * apps that start meanwhile wait, instead of starting without flags. @default flagd's own: 5000
   */
  readonly syncPatience?: number
  /** Milliseconds between the keep-alive events of an event stream. @default 20000 */
  readonly keepAlive?: number
}

/** A flagd-compatible server on this machine. */
export interface Sidecar extends AsyncDisposable {
  /** The ports in use. */
  readonly ports: SidecarPorts
  /**
   * Accepts no new calls, ends the streams, waits for work under way, then cuts.
   * @param deadline milliseconds to wait before the cut; 1000 when not given
   */
  close(deadline?: number): Promise<void>
}

const DEFAULT_PORTS: SidecarPorts = { evaluation: 8013, management: 8014, sync: 8015, ofrep: 8016 }

/**
 * Starts a flagd-compatible server. For laptops and tests: production runs flagd.
 *
 * @throws SwitchbackError `SB_FLAGS_FILE_MISSING` when the file does not exist, `SB_SIDECAR_LISTEN`
 * when a port is in use. Broken content does not throw: flags are FLAG_NOT_FOUND until it is fixed.
 */
export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const { host = '127.0.0.1', maxRequestBytes = 1_000_000, keepAlive = 20_000 } = options
  const { syncPatience = 5_000, onLog = silence } = options
  const ports = { ...DEFAULT_PORTS, ...options.ports }
  const store = new FlagStore()
  const streams = new OpenStreams()
  const metrics = new SidecarMetrics([
    { name: 'sidecar_flags', help: 'Flags in force.', read: () => store.size },
    { name: 'sidecar_streams', help: 'Open gRPC streams.', read: () => streams.size },
  ])
  const evaluation = new EvaluationCalls(store, metrics)
  const serviceOf = (version: 'v1' | 'v2'): UntypedServiceImplementation =>
    evaluationService({ version, store, evaluation, streams, keepAlive })
  const endpoints: Endpoint[] = []
  const files: WatchedFlagsFile[] = []
  const stop = async (deadline: number): Promise<void> => {
    for (const file of files) file.close()
    streams.end()
    await Promise.all(endpoints.map((endpoint) => endpoint.close(deadline)))
  }
  const open = async (endpoint: Promise<Endpoint>): Promise<number> => {
    endpoints.push(await endpoint)
    return (await endpoint).port
  }
  try {
    for (const [priority, path] of [options.file].flat().entries()) {
      files.push(await WatchedFlagsFile.open({ path, priority, store, onLog }))
    }
    const evaluationPort = await open(
      grpcEndpoint(
        { host, port: ports.evaluation },
        {
          maxRequestBytes,
          services: [
            [readingContexts(evaluationV1), serviceOf('v1')],
            [readingContexts(evaluationV2), serviceOf('v2')],
          ],
          http1: connectHandler({ evaluation, maxRequestBytes }),
        },
      ),
    )
    const sync = await open(
      grpcEndpoint(
        { host, port: ports.sync },
        {
          maxRequestBytes,
          services: [[flagSync, syncService(store, streams)]],
          opens: Promise.race([
            Promise.all(files.map(({ loaded }) => loaded)),
            delay(syncPatience, undefined, { ref: false }),
          ]),
        },
      ),
    )
    const ofrep = await open(
      httpEndpoint({ host, port: ports.ofrep }, ofrepHandler({ store, maxRequestBytes })),
    )
    // Last: a sidecar that answers here has its other ports open.
    const management = await open(
      httpEndpoint({ host, port: ports.management }, managementHandler(metrics)),
    )
    let closing: Promise<void> | undefined
    const close = (deadline: number = 1_000): Promise<void> => (closing ??= stop(deadline))
    const used = { evaluation: evaluationPort, management, sync, ofrep }
    return { ports: used, close, [Symbol.asyncDispose]: () => close() }
  } catch (error) {
    await stop(0)
    throw error
  }
}

function silence(): void {}
