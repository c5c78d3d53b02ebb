import type { Server as GrpcServer } from '@grpc/grpc-js'
import type { Http2Server, ServerHttp2Stream } from 'node:http2'

/** The internals of `@grpc/grpc-js` that are used. */
interface Internals {
  createHttp2Server(...args: readonly unknown[]): Http2Server
}

/**
 * Keeps streams that were reset early from a gRPC server, and handles the errors of streams that it
 * refuses. Without this, a call of an unknown method and its reset in one packet would end the
 * process: answering on a destroyed stream throws, and nothing catches that. Call it before the
 * server opens its connections.
 */
export function withoutDeadStreams(grpc: GrpcServer): GrpcServer {
  const internals = grpc as unknown as Internals
  const create = internals.createHttp2Server.bind(grpc)
  internals.createHttp2Server = (...args) => {
    const server = create(...args)
    const emit = server.emit.bind(server) as (...event: unknown[]) => boolean
    server.emit = (name: string | symbol, ...rest: unknown[]): boolean => {
      if (name !== 'stream') return emit(name, ...rest)
      const stream = rest[0] as ServerHttp2Stream
      // A session that breaks the protocol fails all its streams, including those without a
      // listener.
      stream.on('error', () => {})
      return stream.destroyed || emit(name, ...rest)
    }
    return server
  }
  return grpc
}
