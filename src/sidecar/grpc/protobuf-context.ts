import { isUtf8 } from 'node:buffer'
import type { JsonObject, JsonValue } from '../../flagfile/index.ts'

/**
 * Reads these requests without protobufjs, which lets messages nest a hundred deep (a context of
 * some thirty levels), where flagd allows ten thousand.
 */

/** How deep a context may nest: each level costs three stack frames. */
const MAX_DEPTH = 1_000

type Field = readonly [number: number, value: number | Buffer]

/** The fields of a message, each with its number; the value is 0 for fields without use here. */
function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0
  const varint = (): number => {
    let [result, factor] = [0, 1]
    for (let length = 0; length < 10; length++) {
      const byte = bytes[at++]
      if (byte === undefined) break
      result += (byte & 0x7f) * factor
      if (byte < 0x80) return result
      factor *= 128
    }
    throw new Error('cannot parse invalid wire-format data')
  }
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new Error('unexpected EOF')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    switch (tag % 8) {
      case 0:
        yield [number, varint()]
        break
      case 1:
        yield [number, take(8).readDoubleLE()]
        break
      case 2:
        yield [number, take(varint())]
        break
      case 5:
        take(4)
        break
      default:
        throw new Error('cannot parse invalid wire-format data')
    }
  }
}

/** A `Resolve...Request`: the key of a flag and a context. */
export function readResolveRequest(bytes: Buffer): { flagKey: string; context: JsonObject } {
  let flagKey = ''
  const contexts: JsonObject[] = []
  for (const [number, value] of fieldsOf(bytes)) {
    if (typeof value === 'number') continue
    if (number === 1) flagKey = text(value)
    if (number === 2) contexts.push(struct(value, 0))
  }
  return { flagKey, context: merged(contexts) }
}

/** A `ResolveAllRequest`: a context. */
export function readResolveAllRequest(bytes: Buffer): { context: JsonObject } {
  const contexts: JsonObject[] = []
  for (const [number, value] of fieldsOf(bytes)) {
    if (number === 1 && typeof value !== 'number') contexts.push(struct(value, 0))
  }
  return { context: merged(contexts) }
}

/** protobuf merges a repeated message. */
function merged(contexts: readonly JsonObject[]): JsonObject {
  return Object.fromEntries(contexts.flatMap((context) => Object.entries(context)))
}

function struct(bytes: Buffer, depth: number): JsonObject {
  if (depth > MAX_DEPTH) throw new Error(`the context is nested deeper than ${MAX_DEPTH}`)
  const entries: [string, JsonValue][] = []
  for (const [number, entry] of fieldsOf(bytes)) {
    if (number !== 1 || typeof entry === 'number') continue
    let key = ''
    let item: JsonValue = null
    for (const [part, content] of fieldsOf(entry)) {
      if (typeof content === 'number') continue
      if (part === 1) key = text(content)
      if (part === 2) item = value(content, depth + 1)
    }
    entries.push([key, item])
  }
  // `fromEntries` treats `__proto__` as an ordinary key.
  return Object.fromEntries(entries)
}

function value(bytes: Buffer, depth: number): JsonValue {
  let result: JsonValue = null
  for (const [number, content] of fieldsOf(bytes)) {
    if (number === 1) result = null
    else if (typeof content === 'number') {
      if (number === 2) result = numberOf(content)
      if (number === 4) result = content !== 0
    } else if (number === 3) result = text(content)
    else if (number === 5) result = struct(content, depth)
    else if (number === 6) result = list(content, depth)
  }
  return result
}

/** As Go's `structpb`: JSON has no such numbers. */
function numberOf(value: number): number | string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? value : value > 0 ? 'Infinity' : '-Infinity'
}

function list(bytes: Buffer, depth: number): JsonValue[] {
  if (depth > MAX_DEPTH) throw new Error(`the context is nested deeper than ${MAX_DEPTH}`)
  const items: JsonValue[] = []
  for (const [number, content] of fieldsOf(bytes)) {
    if (number === 1 && typeof content !== 'number') items.push(value(content, depth + 1))
  }
  return items
}

function text(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new Error('string field contains invalid UTF-8')
  return bytes.toString('utf8')
}
