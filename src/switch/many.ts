import { checkKey, type SetOptions } from '../cache/index.ts'
import { requireOption } from '../options.ts'
import type { Values } from './values.ts'

/** Writes of one call that are under way at once: so few that a busy process has their answers within a deadline. */
const WRITE_BATCH = 64

/** Each key by itself. Read in one turn, they are one command where the store can do that. */
export async function getMany<T>(
  keys: Iterable<string>,
  get: (key: string) => Promise<T | undefined>,
): Promise<Map<string, T>> {
  const distinct = distinctKeys('getMany', keys)
  const values = await Promise.all(distinct.map(get))
  const found = new Map<string, T>()
  for (const [i, key] of distinct.entries()) {
    const value = values[i]
    if (value !== undefined) found.set(key, value)
  }
  return found
}

/** All are encoded before the first is stored, so that a value which cannot be cached stores none. */
export async function setMany<T>(
  entries: Iterable<readonly [string, T]>,
  options: SetOptions | undefined,
  values: Values,
  store: (key: string, payload: string) => Promise<unknown>,
): Promise<void> {
  const isList = typeof entries === 'object' && entries !== null && Symbol.iterator in entries
  const hint = 'pass a list of [key, value], a Map or Object.entries()'
  requireOption(isList, 'setMany', 'the entries', entries, hint)
  const payloads = new Map<string, string>()
  for (const [key, value] of entries) {
    checkKey(key)
    payloads.set(key, values.encode(value))
  }
  values.ttlOf(options)
  await inBatches([...payloads], ([key, payload]) => store(key, payload))
}

/** How many of them were there. */
export async function deleteMany(
  keys: Iterable<string>,
  remove: (key: string) => Promise<boolean>,
): Promise<number> {
  const deleted = await inBatches(distinctKeys('deleteMany', keys), remove)
  return deleted.filter(Boolean).length
}

function distinctKeys(call: string, keys: Iterable<string>): string[] {
  // The characters of a text are no list of keys.
  requireOption(typeof keys !== 'string', call, 'the keys', keys, 'pass a list of keys')
  const distinct = [...new Set(keys)]
  for (const key of distinct) checkKey(key)
  return distinct
}

async function inBatches<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let i = 0; i < all.length; i += WRITE_BATCH) {
    results.push(...(await Promise.all(all.slice(i, i + WRITE_BATCH).map(work))))
  }
  return results
}
