import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { FlagSet } from './flag-set.ts'
import type { FlagStore } from './flag-store.ts'
import { LatestStream } from './latest-stream.ts'
import type { OpenStreams } from './latest-stream.ts'
import { toStruct } from './struct.ts'

interface SyncMessage {
  readonly flagConfiguration: string
}

/** The handlers of `flagd.sync.v1.FlagSyncService`: the whole configuration, now and at each change. */
export function syncService(store: FlagStore, streams: OpenStreams): UntypedServiceImplementation {
  const payload = payloadOf(store)
  return {
    SyncFlags(call: ServerWritableStream<object, SyncMessage>): void {
      let sent: SyncMessage | undefined
      const stream = new LatestStream<SyncMessage>(call, () => {
        const message = payload()
        if (message === sent) return undefined
        sent = message
        return message
      })
      const unsubscribe = store.subscribe(() => stream.wake())
      streams.add(call, unsubscribe)
      stream.wake()
    },
    FetchAllFlags(_call: ServerUnaryCall<object, object>, reply: sendUnaryData<SyncMessage>): void {
      reply(null, payload())
    },
    GetMetadata(_call: ServerUnaryCall<object, object>, reply: sendUnaryData<object>): void {
      reply(null, { metadata: toStruct({}) })
    },
  }
}

/** Every stream sends the same text, so it is made once a configuration. */
function payloadOf(store: FlagStore): () => SyncMessage {
  let made: { readonly from: FlagSet; readonly message: SyncMessage } | undefined
  return () => {
    const from = store.current
    if (made?.from !== from) {
      const { flags, metadata } = from
      made = { from, message: { flagConfiguration: JSON.stringify({ flags, metadata }) } }
    }
    return made.message
  }
}
