import { isDeepStrictEqual } from 'node:util'

/** Deeper than this nobody looks. */
const DEEPEST = 100

/**
 * Where two results differ, as paths such as `hits[2].score`, at most `limit` of them.
 * @param reveal adds the values, cut at 60 characters
 */
export function differences(own: unknown, other: unknown, reveal: boolean, limit = 5): string[] {
  const found: string[] = []
  const seen = new Set<object>()
  const walk = (a: unknown, b: unknown, path: string, depth: number): void => {
    if (found.length >= limit || depth > DEEPEST || Object.is(a, b)) return
    const both = isObject(a) && isObject(b) && Array.isArray(a) === Array.isArray(b)
    if (!both || seen.has(a)) {
      if (!both) found.push(`${path || 'the result'}: ${text(a, reveal)}, not ${text(b, reveal)}`)
      return
    }
    seen.add(a)
    const keys = new Set([...Object.keys(a), ...Object.keys(b)])
    // What a map, a set or a date holds is under no key.
    if (keys.size === 0 && !isDeepStrictEqual(a, b)) {
      found.push(`${path || 'the result'}: ${text(a, reveal)}, not ${text(b, reveal)}`)
    }
    for (const key of keys) {
      const step = Array.isArray(a) ? `[${key}]` : path === '' ? key : `.${key}`
      walk(a[key], b[key], path + step, depth + 1)
    }
  }
  walk(own, other, '', 0)
  return found
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function text(value: unknown, reveal: boolean): string {
  if (!reveal) return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
  let json: string | undefined
  try {
    json = JSON.stringify(value)
  } catch {
    // Some values have no text.
  }
  return (json ?? String(value)).slice(0, 60)
}
