import { status } from '@grpc/grpc-js'
import type { FlagStore } from './flags/flag-store.ts'
import { isObject } from '../flagfile/index.ts'
import type { JsonObject } from '../flagfile/index.ts'
import type { SidecarMetrics } from './sidecar-metrics.ts'
import type { ValueTypeName } from './grpc/protocol.ts'
import { resolve, resolveAll } from './resolve.ts'
import type { ErrorCode, Resolution } from './resolve.ts'
import { parseFlagSelector, SelectorError } from './flags/flag-selector.ts'
import { toStruct } from './grpc/struct.ts'

export type Version = 'v1' | 'v2'

export interface ResolveRequest {
  readonly flagKey: string
  readonly context: JsonObject
}

/** A request that fails, with flagd's message. */
export class EvaluationError extends Error {
  readonly code: status

  constructor(code: status, message: string) {
    super(message)
    this.code = code
  }
}

const FAILURES: Readonly<Record<ErrorCode, readonly [code: status, message: string]>> = {
  FLAG_NOT_FOUND: [status.NOT_FOUND, 'Flag not found'],
  TYPE_MISMATCH: [status.INVALID_ARGUMENT, 'Type mismatch error'],
  PARSE_ERROR: [status.DATA_LOSS, 'Error parsing input or configuration'],
  GENERAL: [status.UNKNOWN, 'General error'],
}

/** flagd's evaluation services, independent of the protocol. */
export class EvaluationCalls {
  readonly #store: FlagStore
  readonly #metrics: SidecarMetrics

  constructor(store: FlagStore, metrics: SidecarMetrics) {
    this.#store = store
    this.#metrics = metrics
  }

  /** @throws EvaluationError */
  resolve(
    version: Version,
    type: ValueTypeName,
    { flagKey, context }: ResolveRequest,
    selector: string | undefined,
  ): Resolution {
    const view = this.#store.view(selectorOf(selector))
    const answer = resolve(view, flagKey, type, context, version === 'v1' ? 'v1' : undefined)
    this.#metrics.evaluated(flagKey, answer)
    if (answer.error === undefined) return answer
    throw new EvaluationError(...FAILURES[answer.error])
  }

  /** The message `flagd.evaluation.v1.ResolveAllResponse`. @throws EvaluationError */
  resolveAll(context: JsonObject, selector: string | undefined): object {
    const view = this.#store.view(selectorOf(selector))
    const flags: (readonly [string, object])[] = []
    for (const [key, answer] of resolveAll(view, context, 'v1')) {
      this.#metrics.evaluated(key, answer)
      flags.push([key, anyFlag(answer)])
    }
    return { flags: Object.fromEntries(flags), metadata: toStruct(view.selector.metadata) }
  }
}

/** @throws EvaluationError */
export function selectorOf(expression: string | undefined): ReturnType<typeof parseFlagSelector> {
  try {
    return parseFlagSelector(expression)
  } catch (error) {
    if (!(error instanceof SelectorError)) throw error
    throw new EvaluationError(status.INVALID_ARGUMENT, error.message)
  }
}

/** v2 leaves out missing values; v1 cannot, and gives the zero of the type. */
export function spoken(version: Version, answer: Resolution): Partial<Resolution> {
  const { value, variant, reason, metadata } = answer
  if (version === 'v1') return { value, variant, reason, metadata }
  if (value === undefined || reason === 'DISABLED') return { reason, metadata }
  return { value, reason, ...(variant === '' ? {} : { variant }), metadata }
}

function anyFlag({ value, reason, variant, metadata }: Resolution): object {
  const common = { reason, variant, metadata: toStruct(metadata) }
  if (typeof value === 'boolean') return { ...common, boolValue: value }
  if (typeof value === 'string') return { ...common, stringValue: value }
  if (typeof value === 'number') return { ...common, doubleValue: value }
  return isObject(value) ? { ...common, objectValue: toStruct(value) } : common
}
