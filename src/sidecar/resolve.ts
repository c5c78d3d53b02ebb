import type { FlagView } from './flags/flag-view.ts'
import { integer, isList } from '../flagfile/index.ts'
import type { JsonObject, JsonValue } from '../flagfile/index.ts'
import type { ValueTypeName } from './grpc/protocol.ts'
import type { StoredFlag } from './flags/stored-flag.ts'

export type ErrorCode = 'FLAG_NOT_FOUND' | 'PARSE_ERROR' | 'TYPE_MISMATCH' | 'GENERAL'

/** The answer of a flag for a requested type. */
export interface Resolution {
  /**
   * Of the wanted type: its zero where there is an error or the flag is disabled. `undefined` without a
   * default, where the caller's own applies.
   */
  readonly value: JsonValue | undefined
  /** `''` for none. */
  readonly variant: string
  /** `STATIC`, `TARGETING_MATCH`, `DEFAULT`, `DISABLED` or `ERROR`. */
  readonly reason: string
  /** Of the selector, the source and the flag. */
  readonly metadata: JsonObject
  readonly error?: ErrorCode
}

/** The requested type; OFREP accepts any. */
export type WantedType = ValueTypeName | 'Any'

/** The answer as flagd's protocols have it; `v1` cannot leave the value to the caller. */
export function resolve(
  view: FlagView,
  key: string,
  type: WantedType,
  context: JsonObject,
  version?: 'v1',
): Resolution {
  const flag = view.get(key)
  if (flag === undefined) return failed('FLAG_NOT_FOUND', type, '', view.selector.metadata)
  const metadata = flag.metadataOf(view.selector.metadata)
  const evaluation = flag.evaluate(context)
  const { reason, variant, value, errorCode } = evaluation
  if (reason === 'DISABLED') return { value: zero(type), variant, reason, metadata }
  if (reason === 'FALLBACK') {
    if (version === 'v1') return failed('FLAG_NOT_FOUND', type, '', metadata)
    return { value: undefined, variant, reason: 'DEFAULT', metadata }
  }
  if (errorCode !== '') return failed(errorCode, type, variant, metadata)
  if (!fits(type, value)) return failed('TYPE_MISMATCH', type, variant, metadata)
  return { value: type === 'Int' ? integer(value as number) : value, variant, reason, metadata }
}

/** Every flag of a view by its key, each as the type that its default has. */
export function resolveAll(
  view: FlagView,
  context: JsonObject,
  version?: 'v1',
): (readonly [key: string, Resolution])[] {
  const all: (readonly [string, Resolution])[] = []
  for (const flag of view.flags) {
    const type = typeOfDefault(flag)
    if (type === 'Any' && version === 'v1') continue
    all.push([flag.key, resolve(view, flag.key, type, context, version)])
  }
  return all
}

function failed(
  error: ErrorCode,
  type: WantedType,
  variant: string,
  metadata: JsonObject,
): Resolution {
  return { value: zero(type), variant, reason: 'ERROR', metadata, error }
}

function typeOfDefault({ definition: { variants, defaultVariant } }: StoredFlag): WantedType {
  const value =
    variants !== undefined && Object.hasOwn(variants, defaultVariant)
      ? variants[defaultVariant]
      : undefined
  if (value === undefined || value === null || isList(value)) return 'Any'
  if (typeof value === 'boolean') return 'Boolean'
  if (typeof value === 'string') return 'String'
  return typeof value === 'number' ? 'Float' : 'Object'
}

function fits(type: WantedType, value: JsonValue | undefined): boolean {
  switch (type) {
    case 'Boolean':
      return typeof value === 'boolean'
    case 'String':
      return typeof value === 'string'
    case 'Float':
    case 'Int':
      return typeof value === 'number'
    case 'Object':
      return typeof value === 'object' && value !== null && !isList(value)
    case 'Any':
      return value !== undefined && value !== null
  }
}

function zero(type: WantedType): JsonValue | undefined {
  switch (type) {
    case 'Boolean':
      return false
    case 'String':
      return ''
    case 'Float':
    case 'Int':
      return 0
    case 'Object':
      return {}
    case 'Any':
      return undefined
  }
}
