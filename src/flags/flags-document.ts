import { SwitchbackError, messageOf, quote } from '../errors.ts'
import { excessOf, resolveReferences, withoutInherited } from '../flags-bounds.ts'
import { toBytes } from './utf8-bytes.ts'

type JsonObject = Readonly<Record<string, unknown>>

/** A flag configuration that flagd accepts, as the JavaScript evaluator must be given it. */
interface Accepted {
  readonly flags: readonly (readonly [key: string, definition: JsonObject])[]
  /** What stands beside the flags. */
  readonly rest: JsonObject
}

/**
 * Reads a flag configuration as flagd does, for its JavaScript evaluator, which is laxer in one thing
 * (`{}` is no flags at all) and stricter in another (a flag without `state` voids the whole file).
 *
 * @returns the configuration as the evaluator must be given it
 * @throws SwitchbackError `SB_FLAGS_INVALID` for content that flagd refuses
 */
export function forEvaluator(text: string, name: string): string {
  const { flags, rest } = accepted(text, name)
  return toBytes(JSON.stringify({ ...rest, flags: Object.fromEntries(flags) }))
}

/** The same in parts, so that one flag can be given to the evaluator without the others. */
export interface FlagParts {
  /** Definitions by key, both as the evaluator must be given them. */
  readonly flags: ReadonlyMap<string, string>
  /** Of the flag set, as JSON. */
  readonly metadata: string
}

/** @throws SwitchbackError `SB_FLAGS_INVALID` for content that flagd refuses */
export function flagParts(text: string, name: string): FlagParts {
  const { flags, rest } = accepted(text, name)
  const parts = flags.map(([key, flag]) => [toBytes(key), toBytes(JSON.stringify(flag))] as const)
  return { flags: new Map(parts), metadata: toBytes(JSON.stringify(rest['metadata'] ?? {})) }
}

function accepted(text: string, name: string): Accepted {
  const problem = (detail: string, cause?: unknown): SwitchbackError =>
    new SwitchbackError('SB_FLAGS_INVALID', `${quote(name)} ${detail}`, {
      cause,
      hint: 'The last good flags stay in force until it is mended.',
    })
  const excess = excessOf(text)
  if (excess !== undefined) throw problem(excess.message)
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw problem(text === '' ? 'is empty' : `is not JSON: ${(cause as Error).message}`, cause)
  }
  if (!isObject(parsed)) throw problem(`is ${quote(parsed)}, not an object`)
  let config: JsonObject
  try {
    config = resolveReferences(parsed)
  } catch (cause) {
    throw problem(messageOf(cause), cause)
  }
  const { flags, ...rest } = config
  if (!isObject(flags)) {
    throw problem(flags === undefined ? 'has no "flags"' : `has the flags ${quote(flags)}`)
  }
  const definitions: [string, JsonObject][] = []
  for (const [key, flag] of Object.entries(flags)) {
    if (!isObject(flag)) throw problem(`has a flag ${quote(key)} that is ${quote(flag)}`)
    const { variants, defaultVariant } = flag
    if (!isObject(variants)) throw problem(`has no variants for the flag ${quote(key)}`)
    if (defaultVariant !== undefined && defaultVariant !== null) {
      if (typeof defaultVariant !== 'string' || !Object.hasOwn(variants, defaultVariant)) {
        const named = `a defaultVariant ${quote(defaultVariant)}`
        throw problem(`names ${named} that the flag ${quote(key)} does not have`)
      }
    }
    const state = flag['state'] === 'DISABLED' ? 'DISABLED' : 'ENABLED'
    const targeting = withoutInherited(flag['targeting'])
    definitions.push([key, { ...flag, state, ...(targeting === undefined ? {} : { targeting }) }])
  }
  return { flags: definitions, rest }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
