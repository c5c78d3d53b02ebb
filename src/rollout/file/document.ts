import { createHash } from 'node:crypto'
import { getNodePath, type ParseError, parseTree } from 'jsonc-parser'
import { messageOf, quote, SwitchbackError } from '../../errors.ts'
import { excessOf } from '../../flagfile/index.ts'

/** A node of the JSON text: its kind, its place, its children. */
export interface JsonNode {
  readonly type: 'object' | 'array' | 'property' | 'string' | 'number' | 'boolean' | 'null'
  readonly value?: any
  readonly offset: number
  readonly length: number
  readonly colonOffset?: number
  readonly parent?: JsonNode
  readonly children?: JsonNode[]
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

/** Where in the JSON: object keys and array indices. */
export type JsonPath = readonly (string | number)[]

/** A flags file as read: the text byte for byte, and the place of everything in it. */
export interface FlagsDocument {
  readonly text: string
  /** SHA-256 of the text in UTF-8, hexadecimal: compared before an edit is written. */
  readonly hash: string
  readonly root: JsonNode
}

/** A place in the text, both counted from 1. */
export interface Position {
  readonly line: number
  readonly column: number
}

/**
 * Reads a flags file. The text is kept as it is; nothing is normalised.
 *
 * @throws {SwitchbackError} `SB_FLAGS_SYNTAX` with line, column and the given name when it is not
 * JSON: comments, trailing commas, a byte order mark, all of which flagd refuses too.
 * `SB_FLAGS_YAML` when the file is named as YAML and is not JSON as well.
 */
export function readFlags(text: string, file?: string): FlagsDocument {
  const result = parseDocument(text)
  if ('root' in result) return result
  if (file !== undefined && /\.ya?ml$/i.test(file)) {
    throw new SwitchbackError(
      'SB_FLAGS_YAML',
      `${quote(file)} is YAML: flagd serves it, switchback does not edit it`,
      {
        hint: 'change the weights in it by hand, or keep the flags as JSON; switchback validate checks both. To have everyone on the old side now, write "state: DISABLED" into the flag',
      },
    )
  }
  const { line, column } = positionAt(text, result.offset)
  throw new SwitchbackError(
    'SB_FLAGS_SYNTAX',
    `${file === undefined ? '' : `${quote(file)}, `}line ${line}, column ${column}: ${result.message}`,
    { hint: result.fix },
  )
}

/** Why a text is not a flags document, and where. */
export interface SyntaxProblem {
  readonly code: 'syntax' | 'comment' | 'byte-order-mark'
  readonly offset: number
  readonly message: string
  readonly fix: string
}

/** Like {@link readFlags}, with the problem as a value. */
export function parseDocument(text: string): FlagsDocument | SyntaxProblem {
  if (text.startsWith('\uFEFF')) {
    return {
      code: 'byte-order-mark',
      offset: 0,
      message: 'the file begins with a byte order mark, which flagd refuses',
      fix: 'save the file as UTF-8 without BOM',
    }
  }
  const excess = excessOf(text, limits)
  if (excess !== undefined) {
    const fix = 'nest the rules less, or give each application its own file'
    return syntax(text, excess.offset, `the file ${excess.message}`, fix)
  }
  const errors: ParseError[] = []
  const root = parseTree(text, errors, { disallowComments: true, allowTrailingComma: false })
  const first = errors[0]
  if (first !== undefined) return syntaxProblem(text, first)
  // The tolerant parser lets a few things pass (control characters in strings), this one none.
  try {
    JSON.parse(text)
  } catch (error) {
    const message = messageOf(error)
    const offset = Number(/position (\d+)/.exec(message)?.[1] ?? 0)
    return syntax(text, offset, `not JSON: ${message}`, 'write it as strict JSON')
  }
  if (root === undefined)
    return syntax(text, 0, 'the file is empty', 'write a flags object into it')
  return { text, hash: hashOf(text), root }
}

/** A tree of positions is larger than its text, and walking it must not overflow the stack. */
const limits = { depth: 700, values: 500_000 }

// jsonc-parser declares these as a const enum, which isolated modules cannot read.
const commentToken = 10
const fixes: Readonly<Record<number, readonly [message: string, fix: string]>> = {
  3: ['a property name is expected', 'remove the comma before it, or quote the name'],
  4: ['a value is expected', 'write a value, or remove the comma before it'],
  5: ['a colon is expected', 'write a colon between the name and its value'],
  6: ['a comma is expected', 'write a comma after the value before it'],
  7: ['a closing brace is expected', 'close the object with }'],
  8: ['a closing bracket is expected', 'close the array with ]'],
  9: ['text follows after the end of the JSON', 'remove what stands after the last brace'],
  12: ['a string is not terminated', 'close it with a double quote'],
}

function syntaxProblem(text: string, { error, offset }: ParseError): SyntaxProblem {
  if (error === commentToken) {
    return {
      code: 'comment',
      offset,
      message: 'comments are not allowed; flagd refuses the file',
      fix: 'move the comment into "metadata" of the flag, or remove it',
    }
  }
  if (text.trim() === '') {
    return syntax(text, 0, 'the file is empty', 'write a flags object into it')
  }
  const [message, fix] = fixes[error] ?? ['this is not JSON', 'write it as strict JSON']
  return syntax(text, offset, `${message}, found ${found(text, offset)}`, fix)
}

function syntax(text: string, offset: number, message: string, fix: string): SyntaxProblem {
  return { code: 'syntax', offset: Math.min(offset, text.length), message, fix }
}

function found(text: string, offset: number): string {
  const rest =
    text
      .slice(offset, offset + 40)
      .split('\n', 1)[0]
      ?.trim() ?? ''
  return rest === '' ? 'the end of the line' : quote(rest)
}

/** SHA-256 of a text in UTF-8, hexadecimal. */
export function hashOf(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Line and column of an offset. */
export function positionAt(text: string, offset: number): Position {
  return positionsIn(text)(offset)
}

/** Line and column of offsets in ascending order, so that the text is read once. */
export function positionsIn(text: string): (offset: number) => Position {
  let line = 1
  let start = 0
  let end = text.indexOf('\n')
  return (offset) => {
    for (; end !== -1 && end < offset; end = text.indexOf('\n', start)) {
      line++
      start = end + 1
    }
    return { line, column: offset - start + 1 }
  }
}

/** Keys and indices from the root to a node. */
export function pathOf(node: JsonNode): (string | number)[] {
  return getNodePath(node)
}

/** The plain value of a node; keys such as `__proto__` are ordinary. */
export function valueOf(node: JsonNode): JsonValue {
  if (node.type === 'array') return (node.children ?? []).map(valueOf)
  if (node.type !== 'object') return node.value as JsonValue
  return Object.fromEntries(entriesOf(node).map(([key, value]) => [key, valueOf(value)]))
}

/** The source text of a node. */
export function sourceTextOf(document: FlagsDocument, node: JsonNode): string {
  return document.text.slice(node.offset, node.offset + node.length)
}

/** The value of a property; the last one when the key is repeated, as flagd reads it. */
export function property(node: JsonNode | undefined, key: string): JsonNode | undefined {
  if (node?.type !== 'object') return undefined
  return node.children?.findLast((child) => child.children?.[0]?.value === key)?.children?.[1]
}

/** The node at a path below another, if there is one. */
export function nodeAt(root: JsonNode, path: JsonPath): JsonNode | undefined {
  let node: JsonNode | undefined = root
  for (const part of path) {
    node = typeof part === 'number' ? node?.children?.[part] : property(node, part)
  }
  return node
}

/** Keys and values of an object node. */
export function entriesOf(
  node: JsonNode | undefined,
): (readonly [key: string, value: JsonNode, keyNode: JsonNode])[] {
  if (node?.type !== 'object') return []
  return (node.children ?? []).flatMap(({ children }) => {
    const [key, value] = children ?? []
    return key === undefined || value === undefined ? [] : [[String(key.value), value, key]]
  })
}

/** Every node below, and the node itself. */
export function* walk(node: JsonNode): Generator<JsonNode> {
  yield node
  for (const child of node.children ?? []) yield* walk(child)
}

/** The repeated keys of one object, second and later ones. */
export function duplicateKeys(node: JsonNode): JsonNode[] {
  const found: JsonNode[] = []
  for (const each of walk(node)) {
    if (each.type !== 'object') continue
    const seen = new Set<string>()
    for (const [key, , keyNode] of entriesOf(each)) {
      if (seen.has(key)) found.push(keyNode)
      seen.add(key)
    }
  }
  return found
}
