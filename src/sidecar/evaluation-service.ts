import { status } from '@grpc/grpc-js'
import type {
  sendUnaryData,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { ErrorCode, Resolution } from './flag-set.ts'
import type { FlagChange, FlagChanges, FlagStore } from './flag-store.ts'
import { LatestStream } from './latest-stream.ts'
import type { OpenStreams } from './latest-stream.ts'
import type { SidecarMetrics } from './metrics.ts'
import { VALUE_TYPES } from './protocol.ts'
import type { ValueTypeName } from './protocol.ts'
import { fromStruct, toStruct } from './struct.ts'
import type { JsonObject, JsonValue, Struct } from './struct.ts'

export interface ResolveRequest {
  readonly flagKey?: string
  readonly context?: Struct
}

/** An answer with a value, before it is put into the words of a protocol. */
export interface Answer {
  /** `undefined`: the caller's own default applies. */
  readonly value: JsonValue | undefined
  readonly reason: string
  readonly variant: string
  readonly metadata: JsonObject
}

/** Why there is no answer; `code` is gRPC's, as flagd uses it. */
export class ResolveError extends Error {
  readonly code: status
  readonly errorCode: ErrorCode

  constructor(errorCode: ErrorCode) {
    super(DETAILS[errorCode])
    this.errorCode = errorCode
    this.code = STATUS[errorCode]
  }
}

const DETAILS: Record<ErrorCode, string> = {
  FLAG_NOT_FOUND: 'Flag not found',
  TYPE_MISMATCH: 'Flag type mismatch',
  PARSE_ERROR: 'Parse error',
  GENERAL: 'General error',
}

const STATUS: Record<ErrorCode, status> = {
  FLAG_NOT_FOUND: status.NOT_FOUND,
  TYPE_MISMATCH: status.INVALID_ARGUMENT,
  PARSE_ERROR: status.DATA_LOSS,
  GENERAL: status.UNKNOWN,
}

/** Resolves one flag as one of the five types. */
export class Evaluator {
  readonly #store: FlagStore
  readonly #metrics: SidecarMetrics

  constructor(store: FlagStore, metrics: SidecarMetrics) {
    this.#store = store
    this.#metrics = metrics
  }

  /** @throws ResolveError */
  resolve(type: ValueTypeName, key: string, context: JsonObject): Answer {
    const resolution = this.#store.current.resolve(key, context)
    const answer = typed(type, resolution)
    this.#metrics.evaluated(key, answer)
    if (answer instanceof ResolveError) throw answer
    return answer
  }

  /** Every flag that gives a value; those that fail or are disabled are left out. */
  resolveAll(context: JsonObject): Map<string, Answer> {
    const answers = new Map<string, Answer>()
    const flags = this.#store.current
    for (const key of flags.keys) {
      const resolution = flags.resolve(key, context)
      if (resolution.ok && resolution.value !== undefined) answers.set(key, resolution)
    }
    return answers
  }
}

function typed(type: ValueTypeName, resolution: Resolution): Answer | ResolveError {
  if (!resolution.ok) return new ResolveError(resolution.errorCode)
  if (resolution.value === undefined) return resolution
  if (!fits(type, resolution.value)) return new ResolveError('TYPE_MISMATCH')
  return type === 'Int'
    ? { ...resolution, value: Math.trunc(resolution.value as number) }
    : resolution
}

function fits(type: ValueTypeName, value: JsonValue): boolean {
  switch (type) {
    case 'Boolean':
      return typeof value === 'boolean'
    case 'String':
      return typeof value === 'string'
    case 'Float':
    case 'Int':
      return typeof value === 'number'
    case 'Object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
  }
}

interface EventMessage {
  readonly type: string
  readonly data?: Struct
}

export interface EvaluationServiceOptions {
  readonly store: FlagStore
  readonly evaluator: Evaluator
  readonly streams: OpenStreams
  /** Milliseconds between keep-alives. */
  readonly keepAlive: number
}

/** The handlers of `flagd.evaluation.v1.Service`, which has all that v2 has and `ResolveAll`. */
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
        reply(
          error instanceof ResolveError
            ? { code: error.code, details: error.message }
            : failure(error),
        )
      }
    }
  }
  return handlers
}

function failure(error: unknown): { code: status; details: string } {
  return { code: status.INTERNAL, details: error instanceof Error ? error.message : String(error) }
}

function wire(answer: Answer): object {
  const { value, reason, variant, metadata } = answer
  return {
    ...(value === undefined ? {} : { value: isPlainObject(value) ? toStruct(value) : value }),
    reason,
    ...(variant === '' ? {} : { variant }),
    metadata: toStruct(metadata),
  }
}

function anyFlag({ value, reason, variant, metadata }: Answer): object {
  const common = { reason, variant, metadata: toStruct(metadata) }
  if (typeof value === 'boolean') return { ...common, boolValue: value }
  if (typeof value === 'string') return { ...common, stringValue: value }
  if (typeof value === 'number') return { ...common, doubleValue: value }
  return isPlainObject(value) ? { ...common, objectValue: toStruct(value) } : common
}

function isPlainObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function openEventStream(
  call: ServerWritableStream<object, EventMessage>,
  { store, streams, keepAlive }: EvaluationServiceOptions,
): void {
  let greeted = false
  let beat = false
  // By flag, so that a reader who is behind gets each change once and the latest only.
  let unread = new Map<string, FlagChange>()
  const stream = new LatestStream<EventMessage>(call, () => {
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
  })
  const unsubscribe = store.subscribe((changes) => {
    for (const [key, change] of changes) unread.set(key, change)
    stream.wake()
  })
  const timer = setInterval(() => {
    beat = true
    stream.wake()
  }, keepAlive)
  timer.unref()
  const close = (): void => {
    clearInterval(timer)
    unsubscribe()
  }
  streams.add(call, close)
  stream.wake()
}

function configurationChange(changes: FlagChanges): EventMessage {
  const flags: Record<string, JsonObject> = {}
  for (const [key, type] of changes) flags[key] = { type }
  return { type: 'configuration_change', data: toStruct({ flags }) }
}
