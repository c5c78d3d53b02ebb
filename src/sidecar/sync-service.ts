import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { FlagSet } from './flag-set.ts'
import type { FlagStore } from './flag-store.ts'
import type { OpenStreams } from './streams.ts'
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
      const next = (): SyncMessage | undefined => {
        const message = payload()
        if (message === sent) return undefined
        sent = message
        return message
      }
      const wake = streams.open(call, next, () => unsubscribe())
      const unsubscribe = store.subscribe(wake)
      wake()
    },
    FetchAllFlags(_call: ServerUnaryCall<object, object>, reply: sendUnaryData<SyncMessage>): void {
      reply(null, payload())
    },
    GetMetadata(_call: ServerUnaryCall<object, object>, reply: sendUnaryData<object>): void {
      reply(null, { metadata: toStruct({}) })
    },
  }
}

/** Every stream sends the same text, made once for a configuration. */
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
