import { SwitchbackError, messageOf, quote } from '../../errors.ts'
import { excessOf, tooLarge, MAX_FLAGS_BYTES } from './bounds.ts'
import { decodeFlags, numberTooLarge, wellFormed } from './decode.ts'
import type { FlagDefinition } from './flag-definition.ts'
import { flagSetOf } from './flag-set.ts'
import type { FlagSet } from './flag-set.ts'
import { folded } from './fold.ts'
import { goJson } from './go-json.ts'
import { compareTexts, isList, isObject, member } from '../json.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { withSharedRules } from './references.ts'
import { writtenRules } from './written-rules.ts'
import type { WrittenRules } from './written-rules.ts'
import { isYaml, jsonOfYaml } from './yaml.ts'

export interface ReadFlagSetOptions {
  /** What the flags say as their source. @default what stands in the text */
  readonly source?: string
  /** Told of each flag that flagd leaves out without a word to its users. */
  readonly onDropped?: (dropped: DroppedFlag) => void
}

export interface DroppedFlag {
  /** `''` for a flag of a list that has none. */
  readonly key: string
  /** Goes on from the key. */
  readonly reason: string
}

/**
 * Reads a flags file, or the text of flagd's sync stream, exactly as flagd does: what flagd loads is
 * loaded, what it refuses is refused.
 *
 * @param name what to call it in an error; `.yaml` and `.yml` at its end make it YAML
 * @throws SwitchbackError `SB_FLAGS_INVALID`, `SB_FLAGS_TOO_LARGE`
 */
export function readFlagSet(
  content: string | Uint8Array,
  name: string,
  options: ReadFlagSetOptions = {},
): FlagSet {
  if (content.length > MAX_FLAGS_BYTES) throw tooLarge(name)
  try {
    return flagSetIn(typeof content === 'string' ? content : decodeFlags(content), name, options)
  } catch (cause) {
    const deep = cause instanceof RangeError
    const problem = deep ? 'is nested deeper than it can be read' : messageOf(cause)
    throw new SwitchbackError('SB_FLAGS_INVALID', `${quote(name)} ${problem}`, {
      cause,
      hint: 'The last good flags stay in force until it is corrected.',
    })
  }
}

function flagSetIn(content: string, name: string, options: ReadFlagSetOptions): FlagSet {
  const text = isYaml(name) ? jsonOfYaml(content) : content
  if (text.trim() === '') throw new Error('is empty')
  const parsed = parse(text)
  if (!isObject(parsed)) throw new Error(`is ${quote(parsed)}, not an object`)
  const expanded = withSharedRules(text, parsed)
  const config = expanded === undefined ? parsed : (parse(expanded) as JsonObject)
  const members = membersOf(config, ['flags', 'metadata'])
  const metadata = mapOf(members.get('metadata')) ?? {}
  if (members.get('metadata')?.some(isNoMap) === true) {
    throw new Error(`has the metadata ${quote(members.get('metadata')?.find(isNoMap))}`)
  }
  const flags = members.get('flags')?.at(-1)
  if (flags === undefined) throw new Error('has no "flags"')
  const written = expanded === undefined ? undefined : writtenRules(expanded)
  return flagSetOf(definitionsOf(flags, metadata, options, written), metadata)
}

function parse(text: string): JsonValue {
  const excess = excessOf(text)
  if (excess !== undefined) throw new Error(excess.message)
  let parsed: JsonValue
  try {
    parsed = JSON.parse(text) as JsonValue
  } catch (cause) {
    throw new Error(`is not JSON: ${messageOf(cause)}`, { cause })
  }
  const tooBig = numberTooLarge(text)
  if (tooBig !== undefined) throw new Error(`holds the number ${quote(tooBig)}, which is too large`)
  return wellFormed(text, parsed)
}

function* definitionsOf(
  flags: JsonValue,
  metadata: JsonObject,
  options: ReadFlagSetOptions,
  written: WrittenRules | undefined,
): Generator<FlagDefinition> {
  const found: (readonly [key: string | undefined, flag: JsonValue])[] = isList(flags)
    ? flags.map((flag) => [undefined, flag] as const)
    : flags === null
      ? []
      : isObject(flags)
        ? Object.entries(flags)
        : fail(`has the flags ${quote(flags)}`)
  for (const [place, [key, flag]] of found.entries()) {
    const read = definitionOf(key, flag, metadata, options)
    const definition = withText(read, written?.(key ?? place))
    const reason =
      definition.key === ''
        ? 'has no key'
        : definition.flagSetId === ''
          ? 'is in a flag set whose flagSetId is empty'
          : undefined
    if (reason === undefined) yield definition
    else options.onDropped?.({ key: definition.key, reason })
  }
}

function withText(flag: FlagDefinition, text: string | undefined): FlagDefinition {
  if (text === undefined || flag.targeting === undefined) return flag
  return text === goJson(flag.targeting) ? flag : { ...flag, targetingText: text }
}

const NAMES = ['key', 'state', 'defaultVariant', 'variants', 'targeting', 'source', 'metadata']
const KNOWN: ReadonlySet<string> = new Set(NAMES)

function definitionOf(
  key: string | undefined,
  flag: JsonValue,
  setMetadata: JsonObject,
  options: ReadFlagSetOptions,
): FlagDefinition {
  if (flag !== null && !isObject(flag)) {
    fail(
      key === undefined
        ? `has a flag that is ${quote(flag)}`
        : `has a flag ${quote(key)} that is ${quote(flag)}`,
    )
  }
  const members = membersOf(flag ?? {}, NAMES)
  const text = (name: string): string | undefined => {
    let found: string | undefined
    for (const value of members.get(name) ?? []) {
      if (typeof value === 'string') found = value
      else if (value !== null) wrong(name, value, 'a text')
    }
    return found
  }
  const map = (name: string): JsonObject | undefined => {
    for (const value of members.get(name) ?? []) if (isNoMap(value)) wrong(name, value, 'an object')
    return mapOf(members.get(name))
  }
  const wrong = (name: string, value: JsonValue, expected: string): never =>
    fail(
      `has a flag ${quote(key ?? members.get('key')?.[0] ?? '')} whose ${name} is ${quote(value)}, not ${expected}`,
    )
  const named = text('key')
  const [variants, defaultVariant] = [map('variants'), text('defaultVariant') ?? '']
  const ownKey = key ?? named ?? ''
  if (
    defaultVariant !== '' &&
    (variants === undefined || !Object.hasOwn(variants, defaultVariant))
  ) {
    fail(
      `has a defaultVariant ${quote(defaultVariant)} that is not a variant of the flag ${quote(ownKey)}`,
    )
  }
  const [own, source] = [map('metadata'), text('source')]
  const metadata = own === undefined ? setMetadata : { ...setMetadata, ...own }
  const flagSetId = member(metadata, 'flagSetId')
  return {
    key: ownKey,
    state: text('state') ?? '',
    variants,
    defaultVariant,
    targeting: members.get('targeting')?.at(-1),
    metadata,
    flagSetId: typeof flagSetId === 'string' ? flagSetId : undefined,
    source: options.source ?? source,
    priority: 0,
  }
}

/**
 * The members that Go takes for those of these names: as written, and in any other case. Several with
 * one name come in the order of their keys, in which Go reads them.
 */
function membersOf(
  object: JsonObject,
  names: readonly string[],
): ReadonlyMap<string, readonly JsonValue[]> {
  const found = new Map<string, JsonValue[]>()
  let keys = Object.keys(object)
  if (keys.some((key) => !KNOWN.has(key) && names.includes(canonical(key, names)))) {
    keys = keys.sort(compareTexts)
  }
  for (const key of keys) {
    const name = KNOWN.has(key) ? key : canonical(key, names)
    const values = found.get(name)
    if (values === undefined) found.set(name, [object[key] as JsonValue])
    else values.push(object[key] as JsonValue)
  }
  return found
}

function canonical(key: string, names: readonly string[]): string {
  const wanted = folded(key)
  return names.find((name) => folded(name) === wanted) ?? key
}

function isNoMap(value: JsonValue): boolean {
  return value !== null && !isObject(value)
}

/** Several maps for one name become one; null begins anew. */
function mapOf(values: readonly JsonValue[] | undefined): JsonObject | undefined {
  let map: JsonObject | undefined
  for (const value of values ?? []) {
    if (value === null) map = undefined
    else if (isObject(value))
      map =
        map === undefined
          ? value
          : Object.fromEntries([...Object.entries(map), ...Object.entries(value)])
  }
  return map
}

function fail(problem: string): never {
  throw new Error(problem)
}
