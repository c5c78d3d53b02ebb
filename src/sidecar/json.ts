/** JSON as parsed. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

export type JsonObject = { readonly [key: string]: JsonValue }

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// `Array.isArray` does not narrow a readonly array out of a union.
export function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}

/** How deep JSON from outside may nest: walking it must not overflow the stack. */
const MAX_DEPTH = 200

/**
 * Parses JSON from outside: bounded in depth, and without `__proto__`, which a later copy would make
 * a prototype.
 *
 * @throws SyntaxError
 */
export function parseJson(text: string): JsonValue {
  return harmless(JSON.parse(text) as JsonValue, 0)
}

function harmless(value: JsonValue, depth: number): JsonValue {
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) throw new SyntaxError(`JSON nested deeper than ${MAX_DEPTH}`)
  if (isList(value)) return value.map((item) => harmless(item, depth + 1))
  return mapEntries(value, (key, item) => [key, harmless(item, depth + 1)])
}

/** A new object of mapped entries; entries called `__proto__` are left out. */
export function mapEntries(
  object: JsonObject,
  map: (key: string, value: JsonValue) => readonly [string, JsonValue],
): JsonObject {
  const result: Record<string, JsonValue> = {}
  for (const [from, value] of Object.entries(object)) {
    const [key, mapped] = map(from, value)
    if (key !== '__proto__') result[key] = mapped
  }
  return result
}
