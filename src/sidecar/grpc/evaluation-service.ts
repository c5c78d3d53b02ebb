import { status } from '@grpc/grpc-js'
import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { EvaluationError, selectorOf, spoken } from '../evaluation-calls.ts'
import type { EvaluationCalls, ResolveRequest, Version } from '../evaluation-calls.ts'
import type { FlagStore } from '../flags/flag-store.ts'
import type { FlagChange, FlagChanges } from '../flags/flag-view.ts'
import { isObject } from '../../flagfile/index.ts'
import type { JsonObject } from '../../flagfile/index.ts'
import { VALUE_TYPES } from './protocol.ts'
import type { ValueTypeName } from './protocol.ts'
import { SELECTOR_HEADER } from '../flags/flag-selector.ts'
import type { OpenStreams } from './open-streams.ts'
import { toStruct } from './struct.ts'
import type { Struct } from './struct.ts'

export interface EvaluationServiceOptions {
  readonly version: Version
  readonly store: FlagStore
  readonly evaluation: EvaluationCalls
  readonly streams: OpenStreams
  /** Milliseconds between keep-alives. */
  readonly keepAlive: number
}

/** The handlers of `flagd.evaluation.v1.Service` or v2, of which only v1 has `ResolveAll`. */
export function evaluationService(options: EvaluationServiceOptions): UntypedServiceImplementation {
  const { evaluation, version } = options
  const handlers: UntypedServiceImplementation = {
    ResolveAll(
      call: ServerUnaryCall<{ readonly context: JsonObject }, object>,
      reply: sendUnaryData<object>,
    ): void {
      answer(reply, () => evaluation.resolveAll(call.request.context, selectorIn(call)))
    },
    EventStream(call: ServerWritableStream<object, EventMessage>): void {
      openEventStream(call, options)
    },
  }
  for (const type of Object.keys(VALUE_TYPES) as ValueTypeName[]) {
    handlers[`Resolve${type}`] = (
      call: ServerUnaryCall<ResolveRequest, object>,
      reply: sendUnaryData<object>,
    ): void => {
      answer(reply, () => {
        const resolution = evaluation.resolve(version, type, call.request, selectorIn(call))
        const { value, metadata = {}, ...rest } = spoken(version, resolution)
        const message = { ...rest, metadata: toStruct(metadata) }
        if (value === undefined) return message
        return { ...message, value: isObject(value) ? toStruct(value) : value }
      })
    }
  }
  return handlers
}

function selectorIn({
  metadata,
}: Pick<ServerUnaryCall<object, object>, 'metadata'>): string | undefined {
  return metadata.get(SELECTOR_HEADER)[0]?.toString()
}

function answer(reply: sendUnaryData<object>, make: () => object): void {
  try {
    reply(null, make())
  } catch (error) {
    reply(statusOf(error))
  }
}

function statusOf(error: unknown): { code: status; details: string } {
  if (error instanceof EvaluationError) return { code: error.code, details: error.message }
  return { code: status.INTERNAL, details: 'internal error' }
}

interface EventMessage {
  readonly type: 'provider_ready' | 'configuration_change' | 'keep_alive'
  readonly data: Struct
}

function openEventStream(
  call: ServerWritableStream<object, EventMessage>,
  { store, streams, keepAlive }: EvaluationServiceOptions,
): void {
  let selector: ReturnType<typeof selectorOf>
  try {
    selector = selectorOf(selectorIn(call))
  } catch (error) {
    call.emit('error', statusOf(error))
    return
  }
  let greeted = false
  let beat = false
  // By flag, so that a slow reader gets only the latest change of each.
  let unread = new Map<string, FlagChange>()
  const next = (): EventMessage | undefined => {
    if (!greeted) {
      greeted = true
      return { type: 'provider_ready', data: {} }
    }
    if (unread.size > 0) {
      const changes = unread
      unread = new Map()
      return configurationChange(changes)
    }
    if (!beat) return undefined
    beat = false
    return { type: 'keep_alive', data: {} }
  }
  const wake = streams.open(call, next, () => {
    clearInterval(timer)
    unsubscribe()
  })
  const timer = setInterval(() => {
    beat = true
    wake()
  }, keepAlive)
  timer.unref()
  const unsubscribe = store.subscribe(selector, (changes) => {
    for (const [key, change] of changes) unread.set(key, change)
    wake()
  })
  wake()
}

function configurationChange(changes: FlagChanges): EventMessage {
  const flags = Object.fromEntries(Array.from(changes, ([key, type]) => [key, { type }]))
  return { type: 'configuration_change', data: toStruct({ flags }) }
}
