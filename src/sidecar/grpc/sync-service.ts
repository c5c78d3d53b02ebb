import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { EvaluationError, selectorOf } from '../evaluation-calls.ts'
import type { FlagStore } from '../flags/flag-store.ts'
import { SELECTOR_HEADER } from '../flags/flag-selector.ts'
import type { OpenStreams } from './open-streams.ts'
import type { Struct } from './struct.ts'

interface SyncRequest {
  readonly selector?: string
}

interface SyncMessage {
  readonly flagConfiguration: string
  readonly syncContext?: Struct
}

/** The handlers of `flagd.sync.v1.FlagSyncService`: the whole configuration, now and at each change. */
export function syncService(store: FlagStore, streams: OpenStreams): UntypedServiceImplementation {
  return {
    SyncFlags(call: ServerWritableStream<SyncRequest, SyncMessage>): void {
      let selector: ReturnType<typeof selectorOf>
      try {
        selector = selectorOf(expressionIn(call))
      } catch (error) {
        call.emit('error', statusOf(error))
        return
      }
      let sent: { readonly version: number; readonly text: string } | undefined
      const next = (): SyncMessage | undefined => {
        const { version } = store
        if (version === sent?.version) return undefined
        // A view makes its text once: all its streams send the same one.
        const { text } = store.view(selector)
        const again = text === sent?.text
        sent = { version, text }
        // flagd sends everything at every load; for a selection, only what has changed.
        if (again && selector.by !== 'all') return undefined
        return { flagConfiguration: text, syncContext: {} }
      }
      const wake = streams.open(call, next, () => unsubscribe())
      const unsubscribe = store.subscribe(selector, wake)
      wake()
    },
    FetchAllFlags(
      call: ServerUnaryCall<SyncRequest, object>,
      reply: sendUnaryData<SyncMessage>,
    ): void {
      try {
        reply(null, { flagConfiguration: store.view(selectorOf(expressionIn(call))).text })
      } catch (error) {
        reply(statusOf(error))
      }
    },
    GetMetadata(_call: ServerUnaryCall<object, object>, reply: sendUnaryData<object>): void {
      reply(null, { metadata: {} })
    },
  }
}

/** The header wins over the field of the request, even when it is empty. */
function expressionIn({
  metadata,
  request,
}: Pick<ServerUnaryCall<SyncRequest, object>, 'metadata' | 'request'>): string | undefined {
  return metadata.get(SELECTOR_HEADER)[0]?.toString() ?? request.selector
}

function statusOf(error: unknown): { code: number; details: string } {
  if (error instanceof EvaluationError) return { code: error.code, details: error.message }
  throw error
}
