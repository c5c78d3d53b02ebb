import type { Server as GrpcServer } from '@grpc/grpc-js'
import type { Http2Server, ServerHttp2Stream } from 'node:http2'

/** What is used of the insides of `@grpc/grpc-js`. */
interface Internals {
  createHttp2Server(...args: readonly unknown[]): Http2Server
}

/**
 * Keeps streams from a gRPC server that were reset before it hears of them, and hears the errors of
 * those that it refuses. It answers a call of an unknown method at once, to answer on a destroyed stream
 * throws, and an error that nobody hears is thrown too, all where nobody catches it: a call and its reset
 * in one packet would end the process. To be called before the server makes its connections.
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
      // A session that breaks the protocol fails its streams, those too that nobody listens to.
      stream.on('error', () => {})
      return stream.destroyed || emit(name, ...rest)
    }
    return server
  }
  return grpc
}
