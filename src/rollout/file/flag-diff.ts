import { isDeepStrictEqual } from 'node:util'
import {
  entriesOf,
  type FlagsDocument,
  type JsonNode,
  type JsonPath,
  type JsonValue,
  property,
  valueOf,
  walk,
} from './document.ts'
import type { Change } from './edit.ts'
import { flagEntries } from './flag-members.ts'

/** The flags whose definition differs, or the shared rule that they refer to. */
export function changedFlags(before: FlagsDocument, after: FlagsDocument): string[] {
  const [was, is] = [flagsOf(before), flagsOf(after)]
  const shared = !isDeepStrictEqual(sharedRules(before), sharedRules(after))
  return [...new Set([...was.keys(), ...is.keys()])].filter((flag) => {
    const [old, now] = [was.get(flag), is.get(flag)]
    if (old === undefined || now === undefined) return true
    return (shared && refers(now)) || !isDeepStrictEqual(valueOf(old), valueOf(now))
  })
}

/**
 * What changed in the definition of a flag, place by place: what `undo` reverts.
 *
 * @returns `undefined` when the places do not tell all: the flag came or went, or a shared rule
 * changed.
 */
export function flagChanges(
  before: FlagsDocument,
  after: FlagsDocument,
  flag: string,
): Change[] | undefined {
  const [was, is] = [flagsOf(before).get(flag), flagsOf(after).get(flag)]
  if (was?.type !== 'object' || is?.type !== 'object') return undefined
  if (refers(is) && !isDeepStrictEqual(sharedRules(before), sharedRules(after))) return undefined
  return differences(['flags', flag], valueOf(was), valueOf(is))
}

/** Lists of the same length are compared element by element; otherwise the whole list changed. */
function differences(
  path: JsonPath,
  from: JsonValue | undefined,
  to: JsonValue | undefined,
): Change[] {
  if (isDeepStrictEqual(from, to)) return []
  if (isList(from) && isList(to) && from.length === to.length) {
    return from.flatMap((each, index) => differences([...path, index], each, to[index]))
  }
  if (isObject(from) && isObject(to)) {
    const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])]
    return keys.flatMap((key) =>
      differences(
        [...path, key],
        Object.hasOwn(from, key) ? from[key] : undefined,
        Object.hasOwn(to, key) ? to[key] : undefined,
      ),
    )
  }
  return [{ path, from, to }]
}

/**
 * Whether changes may be recorded in the history as they are. A condition may compare with users'
 * names, which the history never keeps: only text that cannot be one (a variant, a state, an
 * attribute's name) passes.
 */
export function namesNobody(changes: readonly Change[], variants: ReadonlySet<string>): boolean {
  return changes.every(({ path, from, to }) => {
    const field = path[2]
    if (field === 'state' || field === 'defaultVariant' || field === 'variants') return true
    if (field !== 'targeting') return false
    const attribute = path.at(-1) === 'var'
    return [from, to].every((value) => attribute || value === undefined || plain(value, variants))
  })
}

function plain(value: JsonValue, variants: ReadonlySet<string>): boolean {
  if (typeof value === 'string') return variants.has(value)
  if (isList(value)) return value.every((each) => plain(each, variants))
  if (!isObject(value)) return true
  return Object.entries(value).every(([key, each]) => {
    return (key === 'var' && typeof each === 'string') || plain(each, variants)
  })
}

/** The names of a flag's variants in a document. */
export function variantNames(document: FlagsDocument, flag: string): string[] {
  return entriesOf(property(flagsOf(document).get(flag), 'variants')).map(([name]) => name)
}

function flagsOf(document: FlagsDocument): ReadonlyMap<string, JsonNode> {
  return new Map(flagEntries(document).map(([name, node]) => [name, node]))
}

function sharedRules(document: FlagsDocument): JsonValue | undefined {
  const node = property(document.root, '$evaluators')
  return node === undefined ? undefined : valueOf(node)
}

function refers(flag: JsonNode): boolean {
  for (const node of walk(flag)) if (property(node, '$ref') !== undefined) return true
  return false
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value)
}

function isObject(value: JsonValue | undefined): value is { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !isList(value)
}
