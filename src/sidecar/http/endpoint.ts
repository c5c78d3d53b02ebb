import { Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js'
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { SwitchbackError, quote } from '../../errors.ts'
import { withoutDeadStreams } from './dead-streams.ts'
import { httpServer } from './http.ts'
import type { HttpHandler } from './http.ts'
import type { GrpcService } from '../grpc/protocol.ts'

/** Something that listens on a port. */
export interface Endpoint {
  readonly port: number
  /**
   * Stops accepting work, lets work under way end, and cuts it after the deadline (milliseconds).
   */
  close(deadline: number): Promise<void>
}

export interface ListenAddress {
  readonly host: string
  /** 0 picks a free port. */
  readonly port: number
}

/** @throws SwitchbackError `SB_SIDECAR_LISTEN` */
export async function httpEndpoint(
  address: ListenAddress,
  handler: HttpHandler,
): Promise<Endpoint> {
  const server = httpServer(handler)
  await listen(server, address)
  return {
    port: portOf(server),
    close(deadline) {
      server.closeIdleConnections()
      return closed(server, deadline, () => server.closeAllConnections())
    },
  }
}

export interface GrpcEndpointOptions {
  readonly services: readonly (readonly [GrpcService, UntypedServiceImplementation])[]
  /** Larger requests are answered RESOURCE_EXHAUSTED. */
  readonly maxRequestBytes: number
  /**
   * Milliseconds between pings. A client that leaves one unanswered for as long is disconnected:
   * Node reads nothing more from a connection that broke the protocol, not even its end, and would
   * keep it for ever.
   * @default 10000
   */
  readonly pingInterval?: number
  /**
   * No request is answered before it resolves, although connections are accepted. @default at once
   */
  readonly opens?: Promise<unknown>
  /** Answers HTTP/1 requests on the same port. @default such connections are closed */
  readonly http1?: HttpHandler
}

/** @throws SwitchbackError `SB_SIDECAR_LISTEN` */
export async function grpcEndpoint(
  address: ListenAddress,
  { services, maxRequestBytes, pingInterval = 10_000, opens, http1 }: GrpcEndpointOptions,
): Promise<Endpoint> {
  const settings = {
    'grpc.max_receive_message_length': maxRequestBytes,
    'grpc.max_send_message_length': -1,
    'grpc.keepalive_time_ms': pingInterval,
    'grpc.keepalive_timeout_ms': pingInterval,
  }
  const grpc = withoutDeadStreams(new GrpcServer(settings))
  for (const [service, handlers] of services) grpc.addService(service, handlers)
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure())
  const plain = http1 && httpServer(http1)
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    accept(socket, async (isHttp2) => {
      if (isHttp2) {
        await opens
        if (!socket.destroyed) injector.injectConnection(socket)
      } else if (plain) plain.emit('connection', socket)
      else socket.destroy()
    })
  })
  await listen(server, address)
  return {
    port: portOf(server),
    async close(deadline) {
      injector.drain(deadline)
      await closed(server, deadline, () => {
        for (const socket of sockets) socket.destroy()
      })
      injector.destroy()
    },
  }
}

const HTTP2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Tells HTTP/2 from HTTP/1 by a connection's first bytes, as flagd serves both on one port. */
function accept(socket: Socket, then: (isHttp2: boolean) => void): void {
  // A client that connects and sends nothing is disconnected.
  const timer = setTimeout(() => socket.destroy(), 10_000)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
  let seen: Buffer = Buffer.alloc(0)
  const look = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk])
    const length = Math.min(seen.length, HTTP2_PREFACE.length)
    const isHttp2 = seen.subarray(0, length).equals(HTTP2_PREFACE.subarray(0, length))
    // A first packet of `P` may still become a POST.
    if (isHttp2 && length < HTTP2_PREFACE.length) return
    clearTimeout(timer)
    socket.off('data', look)
    socket.pause()
    socket.unshift(seen)
    then(isHttp2)
    // An HTTP/2 session takes over the handle and fetches what was unshifted itself; resuming would
    // discard that.
    if (!isHttp2) socket.resume()
  }
  socket.on('data', look)
}

function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new SwitchbackError('SB_SIDECAR_LISTEN', `Cannot listen on ${quote(`${host}:${port}`)}.`, {
          cause,
          hint: 'Is a flagd or another sidecar running? Stop it, or choose other ports.',
        }),
      ),
    )
    server.listen({ host, port, backlog: 1_024 }, resolve)
  })
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

async function closed(server: Server, deadline: number, cut: () => void): Promise<void> {
  const timer = setTimeout(cut, deadline)
  await new Promise<void>((resolve) => server.close(() => resolve()))
  clearTimeout(timer)
}
