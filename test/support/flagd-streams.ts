import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js'
import type { JsonObject } from '../../src/flagfile/index.ts'
import { evaluationV1, evaluationV2, flagSync } from '../../src/sidecar/grpc/protocol.ts'
import { fromStruct } from '../../src/sidecar/grpc/struct.ts'
import type { Struct } from '../../src/sidecar/grpc/struct.ts'
import { grpcClient } from './flagd-askers.ts'
import { until } from './flagd-server.ts'
import type { FlagServer } from './flagd-server.ts'

/** What a stream said so far, and how it ended. */
export interface Heard<Message> extends Disposable {
  readonly messages: readonly Message[]
  /** The gRPC status it ended with; `undefined` while it stands. */
  readonly ended: number | undefined
  /** The first message from `from` on that matches. */
  next(from: number, matches?: (message: Message) => boolean): Promise<Message>
}

export interface Event {
  readonly type: string
  readonly flags: JsonObject
}

export function eventStream(version: 'v1' | 'v2', server: FlagServer): Heard<Event> {
  const service = version === 'v1' ? evaluationV1 : evaluationV2
  return hear<{ type: string; data?: Struct }, Event>(
    grpcClient(service, server.host, server.ports.evaluation),
    'EventStream',
    ({ type, data }) => ({ type, flags: (fromStruct(data)['flags'] ?? {}) as JsonObject }),
  )
}

export function syncStream(server: FlagServer): Heard<JsonObject> {
  return hear<{ flagConfiguration: string }, JsonObject>(
    grpcClient(flagSync, server.host, server.ports.sync),
    'SyncFlags',
    ({ flagConfiguration }) => JSON.parse(flagConfiguration) as JsonObject,
  )
}

function hear<Raw, Message>(
  client: ReturnType<typeof grpcClient>,
  method: string,
  read: (raw: Raw) => Message,
): Heard<Message> {
  const messages: Message[] = []
  let ended: number | undefined
  const open = client as unknown as Record<string, (request: object) => ClientReadableStream<Raw>>
  const stream = open[method]?.call(client, {}) as ClientReadableStream<Raw>
  stream.on('data', (raw: Raw) => messages.push(read(raw)))
  stream.on('error', ({ code }: ServiceError) => (ended ??= code))
  stream.on('end', () => (ended ??= 0))
  return {
    messages,
    get ended() {
      return ended
    },
    async next(from, matches = () => true) {
      const find = (): Message | undefined => messages.slice(from).find(matches)
      await until(`${method} says something`, () => find() !== undefined)
      return find() as Message
    },
    [Symbol.dispose]() {
      stream.cancel()
      client.close()
    },
  }
}
