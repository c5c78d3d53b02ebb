import { constants } from 'node:http2'
import type { ServerHttp2Session } from 'node:http2'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import type { ServerWritableStream, ServiceDefinition } from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'

interface Message {
  readonly flagConfiguration: string
  readonly syncContext?: { readonly fields: object }
}

type Stream = ServerWritableStream<object, Message>

/** Typed as a plain field, which has no `keyType`. */
const MAP = { keyType: 'string', type: 'Value', id: 1 }

const proto = fromJSON({
  nested: {
    flagd: {
      nested: {
        sync: {
          nested: {
            v1: {
              nested: {
                SyncFlagsRequest: { fields: { providerId: { type: 'string', id: 1 } } },
                SyncFlagsResponse: {
                  fields: {
                    flagConfiguration: { type: 'string', id: 1 },
                    syncContext: { type: 'Struct', id: 2 },
                  },
                },
                // google.protobuf.Struct, as far as texts go.
                Struct: { fields: { fields: MAP } },
                Value: { fields: { stringValue: { type: 'string', id: 3 } } },
                FlagSyncService: {
                  methods: {
                    SyncFlags: {
                      requestType: 'SyncFlagsRequest',
                      responseType: 'SyncFlagsResponse',
                      responseStream: true,
                      comment: '',
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
})

/** Serves flagd's sync stream, and does with it what a test says. */
export class SyncServer implements AsyncDisposable {
  readonly streams: Stream[] = []
  /** What a new stream is sent; nothing when undefined. */
  content: string | undefined
  /** What it adds to each context, by name. */
  context: Readonly<Record<string, string>> = {}
  readonly #server = new Server()

  static async start(content?: object): Promise<[server: SyncServer, port: number]> {
    const server = new SyncServer()
    if (content !== undefined) server.content = JSON.stringify(content)
    return [server, await server.#listen()]
  }

  /** To all open streams. */
  send(content: object | string): void {
    const text = typeof content === 'string' ? content : JSON.stringify(content)
    for (const stream of this.streams) stream.write(this.#message(text))
  }

  /** Ends all streams in order, with status OK. */
  endStreams(): void {
    for (const stream of this.streams.splice(0)) stream.end()
  }

  /** Ends all connections as a Go server does to clients that ping too often. */
  calm(): void {
    this.streams.length = 0
    for (const session of this.#sessions()) {
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from('too_many_pings'))
      session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM)
    }
  }

  #message(flagConfiguration: string): Message {
    const named = Object.entries(this.context)
    const fields = Object.fromEntries(named.map(([name, stringValue]) => [name, { stringValue }]))
    return { flagConfiguration, ...(named.length > 0 && { syncContext: { fields } }) }
  }

  /** Of the server's internals: it offers no way to end a connection by a code. */
  #sessions(): ServerHttp2Session[] {
    const servers = Reflect.get(this.#server, 'http2Servers') as Map<
      unknown,
      { readonly sessions: Set<ServerHttp2Session> }
    >
    return [...servers.values()].flatMap(({ sessions }) => [...sessions])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown()
  }

  #listen(): Promise<number> {
    this.#server.addService(proto['flagd.sync.v1.FlagSyncService'] as ServiceDefinition, {
      SyncFlags: (stream: Stream) => {
        this.streams.push(stream)
        if (this.content !== undefined) stream.write(this.#message(this.content))
      },
    })
    return new Promise((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port)
        else reject(error)
      })
    })
  }
}
