import type { Socket } from 'node:net'
import { connectHandler } from './connect.ts'
import { Evaluator, evaluationService } from './evaluation-service.ts'
import { FlagsFile } from './flags-file.ts'
import type { SidecarLogEntry } from './flags-file.ts'
import { FlagStore } from './flag-store.ts'
import { grpcServer } from './grpc.ts'
import { httpServer } from './http.ts'
import { Listener, splitByProtocol } from './listener.ts'
import { OpenStreams } from './latest-stream.ts'
import { managementHandler } from './management.ts'
import { SidecarMetrics } from './metrics.ts'
import { ofrepHandler } from './ofrep.ts'
import { evaluationV1, evaluationV2, flagSync } from './protocol.ts'
import { syncService } from './sync-service.ts'

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
  /** The flags file, or a directory whose `*.json` are merged in the order of their names. */
  readonly file: string
  /** @default '127.0.0.1' */
  readonly host?: string
  /** Ports to listen on; 0 takes a free one. @default flagd's own: 8013 to 8016 */
  readonly ports?: Partial<SidecarPorts>
  /** Hears of flags put in force, and of content that was refused. @default nobody */
  readonly onLog?: (entry: SidecarLogEntry) => void
  /** Largest request in bytes. @default 1048576 */
  readonly maxRequestBytes?: number
  /** Milliseconds between the keep-alive events of an event stream. @default 20000 */
  readonly keepAlive?: number
}

/** A flagd-compatible server on this machine. */
export interface Sidecar extends AsyncDisposable {
  /** The ports in use. */
  readonly ports: SidecarPorts
  /**
   * Takes no new calls, ends the streams, waits for what is under way, then cuts.
   * @param deadline milliseconds to wait before the cut; 1000 when not given
   */
  close(deadline?: number): Promise<void>
}

const DEFAULT_PORTS: SidecarPorts = { evaluation: 8013, management: 8014, sync: 8015, ofrep: 8016 }

/**
 * Starts a flagd-compatible server. For laptops and tests: production runs flagd.
 *
 * @throws SwitchbackError `SB_FLAGS_FILE_MISSING` when there is no such file, `SB_SIDECAR_LISTEN`
 * when a port is taken. Broken content does not throw: flags are FLAG_NOT_FOUND until it is mended.
 */
export async function startSidecar(options: SidecarOptions): Promise<Sidecar> {
  const { host = '127.0.0.1', maxRequestBytes = 1_048_576, keepAlive = 20_000 } = options
  const ports = { ...DEFAULT_PORTS, ...options.ports }
  const store = new FlagStore()
  const metrics = new SidecarMetrics()
  const evaluator = new Evaluator(store, metrics)

  const streams = new OpenStreams()
  const evaluations = evaluationService({ store, evaluator, streams, keepAlive })
  const evaluation = grpcServer({
    maxRequestBytes,
    services: [
      [evaluationV1, evaluations],
      [evaluationV2, evaluations],
    ],
  })
  const sync = grpcServer({ maxRequestBytes, services: [[flagSync, syncService(store, streams)]] })
  const connect = httpServer(connectHandler(evaluator, maxRequestBytes))
  const ofrep = httpServer(ofrepHandler({ store, maxBodyBytes: maxRequestBytes }))
  const management = httpServer(managementHandler(metrics))

  const listeners: Listener[] = []
  const file = await FlagsFile.open({
    path: options.file,
    store,
    onLog: options.onLog ?? (() => {}),
  })
  const stop = async (deadline: number): Promise<void> => {
    file.close()
    const closed = Promise.all(listeners.map((listener) => listener.close(deadline)))
    streams.end()
    for (const server of [evaluation, sync]) server.close(deadline)
    for (const server of [connect, ofrep, management]) server.closeIdleConnections()
    await closed
  }
  const listen = async (port: number, onConnection: (socket: Socket) => void): Promise<number> => {
    const listener = await Listener.open({ host, port, onConnection })
    listeners.push(listener)
    return listener.port
  }
  try {
    const used = {
      evaluation: await listen(
        ports.evaluation,
        splitByProtocol(evaluation.accept, (socket) => connect.emit('connection', socket)),
      ),
      sync: await listen(ports.sync, sync.accept),
      ofrep: await listen(ports.ofrep, (socket) => ofrep.emit('connection', socket)),
      // Last, so that whoever finds it ready finds the others listening.
      management: await listen(ports.management, (socket) => management.emit('connection', socket)),
    }
    let closing: Promise<void> | undefined
    const close = (deadline: number = 1_000): Promise<void> => (closing ??= stop(deadline))
    return { ports: used, close, [Symbol.asyncDispose]: () => close() }
  } catch (error) {
    await stop(0)
    throw error
  }
}
