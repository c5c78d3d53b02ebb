import type { NamesPage } from '../backend.ts'
import type { RedisClient, RedisNode } from './connection/redis-client.ts'
import { redisError } from './redis-errors.ts'

/** Keys that Redis looks at in one step of a scan. */
const SCAN_COUNT = 500

/**
 * The names under a prefix on one server, in batches. Keys that are there from beginning to end are
 * all found, some perhaps twice (Redis's own guarantee).
 */
export async function* scanKeys(
  node: RedisNode,
  client: RedisClient,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly string[]> {
  for await (const { names } of scanPages(node, client, prefix, signal)) yield names
}

/** The same from a cursor on, each page with the cursor behind it: `0` behind the last. */
export async function* scanPages(
  node: RedisNode,
  client: RedisClient,
  prefix: string,
  signal: AbortSignal | undefined,
  from: string = '0',
): AsyncGenerator<NamesPage> {
  // ioredis adds its own key prefix to the keys of commands, but not to the pattern of a scan.
  const clientPrefix = keyPrefixOf(client)
  const pattern = `${escapeGlob(clientPrefix + prefix)}*`
  let cursor = from
  do {
    signal?.throwIfAborted()
    try {
      const [next, names] = await node.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT)
      cursor = next
      yield { names: names.map((name) => name.slice(clientPrefix.length)), cursor }
    } catch (error) {
      throw redisError(error)
    }
  } while (cursor !== '0')
}

/** What the application's client puts before each key by itself. */
export function keyPrefixOf({ options }: RedisClient): string {
  const { keyPrefix } = options as { readonly keyPrefix?: string | Buffer | null }
  return keyPrefix === undefined || keyPrefix === null ? '' : keyPrefix.toString()
}

function escapeGlob(text: string): string {
  return text.replace(/[*?[\]\\^-]/gu, String.raw`\$&`)
}
