import { messageOf, quote, SwitchbackError } from '../errors.ts'
import { excessOf, resolveReferences } from '../flags-bounds.ts'
import { isList, isObject, parseJson } from './json.ts'
import type { JsonObject, JsonValue } from './json.ts'

/** A flag configuration that flagd accepts, its shared rules resolved. */
export interface Definitions {
  readonly flags: Readonly<Record<string, JsonObject>>
  readonly metadata: JsonObject
}

/**
 * Reads a flag configuration as flagd does: what flagd refuses is refused, oddities that it lets pass
 * (an unknown field, a missing `state`) pass.
 *
 * @param name what to call the file in an error
 * @throws SwitchbackError `SB_FLAGS_INVALID` saying what is wrong
 */
export function readDefinitions(text: string, name: string): Definitions {
  try {
    const config = resolveReferences(parse(text)) as JsonObject
    return {
      flags: flagsOf(config),
      metadata: isObject(config['metadata']) ? config['metadata'] : {},
    }
  } catch (cause) {
    const problem = messageOf(cause)
    throw new SwitchbackError('SB_FLAGS_INVALID', `${quote(name)} ${problem}`, {
      cause,
      hint: 'The last good flags stay in force until the file is mended.',
    })
  }
}

/** Several files as one: of a flag that stands in more than one, the last counts. */
export function mergeDefinitions(parts: readonly Definitions[]): Definitions {
  return {
    flags: Object.assign({}, ...parts.map(({ flags }) => flags)) as Definitions['flags'],
    metadata: Object.assign({}, ...parts.map(({ metadata }) => metadata)) as JsonObject,
  }
}

function parse(text: string): JsonObject {
  if (text.trim() === '') throw new Error('is empty')
  const excess = excessOf(text)
  if (excess !== undefined) throw new Error(excess.message)
  let parsed: JsonValue
  try {
    parsed = parseJson(text)
  } catch (cause) {
    throw new Error(`is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (!isObject(parsed)) throw new Error(`holds ${quote(parsed)}, not an object`)
  return parsed
}

function flagsOf({ flags }: JsonObject): Record<string, JsonObject> {
  if (isObject(flags)) {
    return Object.fromEntries(Object.entries(flags).map(([key, flag]) => [key, checked(key, flag)]))
  }
  if (flags === undefined || !isList(flags)) throw new Error('has no "flags" object')
  const named: Record<string, JsonObject> = {}
  for (const flag of flags) {
    const key = isObject(flag) ? flag['key'] : undefined
    if (typeof key !== 'string') throw new Error(`has a flag without a "key": ${quote(flag)}`)
    named[key] = checked(key, flag)
  }
  return named
}

function checked(key: string, flag: JsonValue): JsonObject {
  if (!isObject(flag)) throw new Error(`has a flag ${quote(key)} that is ${quote(flag)}`)
  const { variants, defaultVariant } = flag
  if (!isObject(variants)) throw new Error(`has no "variants" for the flag ${quote(key)}`)
  // flagd takes anything but a non-empty string for "none given".
  const named = typeof defaultVariant === 'string' && defaultVariant !== ''
  if (named && !Object.hasOwn(variants, defaultVariant)) {
    throw new Error(
      `has a defaultVariant ${quote(defaultVariant)} that is no variant of the flag ${quote(key)}`,
    )
  }
  return flag
}
