import { status } from '@grpc/grpc-js'
import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { ResolveError } from './resolve-error.ts'
import type { Evaluator } from './evaluator.ts'
import type { Answer, ErrorCode } from './flag-set.ts'
import type { FlagChange, FlagChanges, FlagStore } from './flag-store.ts'
import { isObject, mapEntries } from './json.ts'
import { VALUE_TYPES } from './protocol.ts'
import type { ValueTypeName } from './protocol.ts'
import type { OpenStreams } from './streams.ts'
import { fromStruct, toStruct } from './struct.ts'
import type { Struct } from './struct.ts'

export interface EvaluationServiceOptions {
  readonly store: FlagStore
  readonly evaluator: Evaluator
  readonly streams: OpenStreams
  /** Milliseconds between keep-alives. */
  readonly keepAlive: number
}

interface ResolveRequest {
  readonly flagKey?: string
  readonly context?: Struct
}

/** The handlers of `flagd.evaluation.v1.Service`, which has all that v2 has, and `ResolveAll`. */
export function evaluationService(options: EvaluationServiceOptions): UntypedServiceImplementation {
  const { store, evaluator } = options
  const handlers: UntypedServiceImplementation = {
    ResolveAll(call: ServerUnaryCall<ResolveRequest, object>, reply: sendUnaryData<object>): void {
      const flags: Record<string, object> = {}
      for (const [key, answer] of evaluator.resolveAll(fromStruct(call.request.context))) {
        flags[key] = anyFlag(answer)
      }
      reply(null, { flags, metadata: toStruct(store.current.metadata) })
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
      const { flagKey = '', context } = call.request
      try {
        reply(null, wire(evaluator.resolve(type, flagKey, fromStruct(context))))
      } catch (error) {
        reply(statusOf(error))
      }
    }
  }
  return handlers
}

/** flagd's gRPC codes. */
const STATUS: Readonly<Record<ErrorCode, status>> = {
  FLAG_NOT_FOUND: status.NOT_FOUND,
  TYPE_MISMATCH: status.INVALID_ARGUMENT,
  PARSE_ERROR: status.DATA_LOSS,
  GENERAL: status.UNKNOWN,
}

function statusOf(error: unknown): { code: status; details: string } {
  if (error instanceof ResolveError)
    return { code: STATUS[error.errorCode], details: error.message }
  return { code: status.INTERNAL, details: 'internal error' }
}

/** Without a value both `value` and `variant` stay away: the provider then takes the caller's default. */
function wire({ value, reason, variant, metadata }: Answer): object {
  const common = { reason, metadata: toStruct(metadata) }
  if (value === undefined) return common
  return { ...common, value: isObject(value) ? toStruct(value) : value, variant }
}

function anyFlag({ value, reason, variant, metadata }: Answer): object {
  const common = { reason, variant, metadata: toStruct(metadata) }
  if (typeof value === 'boolean') return { ...common, boolValue: value }
  if (typeof value === 'string') return { ...common, stringValue: value }
  if (typeof value === 'number') return { ...common, doubleValue: value }
  return isObject(value) ? { ...common, objectValue: toStruct(value) } : common
}

interface EventMessage {
  readonly type: 'provider_ready' | 'configuration_change' | 'keep_alive'
  readonly data?: Struct
}

function openEventStream(
  call: ServerWritableStream<object, EventMessage>,
  { store, streams, keepAlive }: EvaluationServiceOptions,
): void {
  let greeted = false
  let beat = false
  // By flag, so that a reader who is behind gets the latest change of each and no more.
  let unread = new Map<string, FlagChange>()
  const next = (): EventMessage | undefined => {
    if (!greeted) {
      greeted = true
      return { type: 'provider_ready' }
    }
    if (unread.size > 0) {
      const changes = unread
      unread = new Map()
      return configurationChange(changes)
    }
    if (!beat) return undefined
    beat = false
    return { type: 'keep_alive' }
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
  const unsubscribe = store.subscribe((changes) => {
    for (const [key, change] of changes) unread.set(key, change)
    wake()
  })
  wake()
}

function configurationChange(changes: FlagChanges): EventMessage {
  const flags = mapEntries(Object.fromEntries(changes), (key, type) => [key, { type }])
  return { type: 'configuration_change', data: toStruct({ flags }) }
}
