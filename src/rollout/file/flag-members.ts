import { closestName } from '../../closest.ts'
import { quote, SwitchbackError } from '../../errors.ts'
import { compareTexts, folded } from '../../flagfile/index.ts'
import { article } from '../check/findings.ts'
import {
  entriesOf,
  type FlagsDocument,
  type JsonNode,
  type JsonPath,
  pathOf,
  property,
} from './document.ts'

/*
 * Where a flag and its fields stand in the file. flagd takes "flags" as an object by name and as a
 * list of flags with a "key" each, and every name of its own in any case, e.g. "Flags" and "State".
 * An edit names a place by the usual names, ["flags", <flag>, "state"], whichever way it is written.
 */

const FIELDS: ReadonlySet<string> = new Set([
  'key',
  'state',
  'variants',
  'defaultVariant',
  'targeting',
  'metadata',
])

const USUAL: ReadonlyMap<string, string> = new Map([...FIELDS].map((name) => [folded(name), name]))

/** The value that flagd takes for a name of its own: as written, else in another case. */
function anyCase(node: JsonNode | undefined, name: string): JsonNode | undefined {
  const exact = property(node, name)
  if (exact !== undefined) return exact
  const odd = entriesOf(node).filter(([key]) => folded(key) === folded(name))
  // Of several spellings Go takes the last by order.
  return odd.toSorted(([a], [b]) => compareTexts(a, b)).at(-1)?.[1]
}

/** A flag with the usual names of its fields, whatever their case in the text. */
function withUsualNames(flag: JsonNode): JsonNode {
  const isOdd = (key: string): boolean => !FIELDS.has(key) && USUAL.has(folded(key))
  if (!entriesOf(flag).some(([key]) => isOdd(key))) return flag
  const children = (flag.children ?? []).map((member) => {
    const [key, ...value] = member.children ?? []
    const usual = USUAL.get(folded(String(key?.value)))
    if (key === undefined || usual === undefined) return member
    return { ...member, children: [{ ...key, value: usual }, ...value] }
  })
  return { ...flag, children }
}

/** The node of `flags`: an object, a list, or what flagd refuses. */
export function flagsOf(document: FlagsDocument): JsonNode | undefined {
  return anyCase(document.root, 'flags')
}

/** Name, definition and place of every flag. Of a name that stands twice, the last one counts. */
export function flagEntries(
  document: FlagsDocument,
): (readonly [flag: string, definition: JsonNode, at: JsonNode])[] {
  const flags = flagsOf(document)
  if (flags?.type !== 'array') {
    return entriesOf(flags).map(([name, node, at]) => [name, withUsualNames(node), at])
  }
  return (flags.children ?? []).flatMap((node) => {
    const name = nameOf(node)
    return name === undefined ? [] : [[name, withUsualNames(node), node] as const]
  })
}

/** The name of a flag of a list. */
function nameOf(node: JsonNode): string | undefined {
  const key = anyCase(node, 'key')
  return key?.type === 'string' ? String(key.value) : undefined
}

/** The names of the flags in a document. */
export function flagNames(document: FlagsDocument): string[] {
  return flagEntries(document).map(([name]) => name)
}

/**
 * The definition of one flag.
 *
 * @throws {SwitchbackError} `SB_FLAG_UNKNOWN` when the file has no such flag; `SB_FLAGS_INVALID` when it has none at
 * all, since it is not an object of flags.
 */
export function flagNode(document: FlagsDocument, flag: string): JsonNode {
  const entries = flagEntries(document)
  const [, node] = entries.findLast(([name]) => name === flag) ?? []
  if (node?.type === 'object') return node
  if (node !== undefined) {
    const hint = 'write { "state": "ENABLED", "variants": { "on": true, "off": false }, ... }'
    throw notOf(`the flag ${quote(flag)} is ${article(node)}, not an object`, hint)
  }
  requireFlags(document)
  const names = entries.map(([name]) => name)
  const near = closestName(flag, names)
  const guess = near === undefined ? '' : `did you mean ${quote(near)}? `
  throw new SwitchbackError('SB_FLAG_UNKNOWN', `the file has no flag ${quote(flag)}`, {
    hint:
      names.length === 0
        ? '"flags" is empty'
        : `${guess}its flags: ${names.slice(0, 8).map(quote).join(', ')}${names.length > 8 ? ', ...' : ''}`,
  })
}

function requireFlags(document: FlagsDocument): void {
  const { root } = document
  const hint = 'write { "flags": { ... } }'
  if (root.type !== 'object') throw notOf(`the file is ${article(root)}, not an object`, hint)
  const flags = flagsOf(document)
  if (flags === undefined) throw notOf('the file has no "flags"', hint)
  if (['object', 'array', 'null'].includes(flags.type)) return
  throw notOf(`"flags" is ${article(flags)}, not an object`, hint)
}

function notOf(message: string, hint: string): SwitchbackError {
  return new SwitchbackError('SB_FLAGS_INVALID', message, { hint })
}

/** The node at a place, if there is one. */
export function atPlace(document: FlagsDocument, path: JsonPath): JsonNode | undefined {
  let node: JsonNode | undefined = document.root
  for (const [depth, part] of path.entries()) {
    if (typeof part === 'number') node = node?.children?.[part]
    else if (depth === 1 && node?.type === 'array') {
      node = node.children?.findLast((each) => nameOf(each) === part)
    } else if (path[0] === 'flags' && (depth === 0 || (depth === 2 && FIELDS.has(part)))) {
      node = anyCase(node, part)
    } else node = property(node, part)
  }
  return node
}

/** A path through the text as a place: by the usual names, and by the key of a flag in a list. */
export function placeOf(document: FlagsDocument, path: JsonPath): JsonPath {
  const [flags, flag, field, ...rest] = path
  if (flag === undefined || folded(String(flags)) !== 'flags') return path
  const item = typeof flag === 'number' ? flagsOf(document)?.children?.[flag] : undefined
  const name = (item === undefined ? undefined : nameOf(item)) ?? flag
  const usual = field === undefined ? [] : [USUAL.get(folded(String(field))) ?? field]
  return ['flags', name, ...usual, ...rest]
}

/** The path through the text to a place, which need not be there yet. */
export function pathAt(document: FlagsDocument, place: JsonPath): JsonPath {
  const node = atPlace(document, place)
  if (node !== undefined) return pathOf(node)
  const holder = atPlace(document, place.slice(0, -1))
  return holder === undefined ? place : [...pathOf(holder), ...place.slice(-1)]
}
