import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import type { Socket } from 'node:net'
import type { Service } from './protocol.ts'

export interface GrpcServerOptions {
  /** Larger requests are answered RESOURCE_EXHAUSTED. */
  readonly maxRequestBytes: number
  readonly services: readonly (readonly [Service, UntypedServiceImplementation])[]
}

/** A gRPC server that is handed its connections. */
export interface GrpcServer {
  accept(this: void, socket: Socket): void
  /** Refuses new calls; cuts those that still run after the deadline in milliseconds. */
  close(deadline: number): void
}

export function grpcServer({ maxRequestBytes, services }: GrpcServerOptions): GrpcServer {
  const server = new Server({
    'grpc.max_receive_message_length': maxRequestBytes,
    'grpc.max_send_message_length': -1,
    // The provider's keep-alive pings must not draw a GOAWAY.
    'grpc.max_concurrent_streams': 4_096,
  })
  for (const [service, handlers] of services) server.addService(service, handlers)
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  return {
    accept: (socket) => injector.injectConnection(socket),
    close(deadline) {
      injector.drain(deadline)
      injector.destroy()
    },
  }
}
