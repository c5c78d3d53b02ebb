import { statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ANY, type CacheBackend, type FileCache, NEVER } from '../../../src/cache/index.ts'
import { openSqlite } from '../../../src/cache/file/sqlite/sqlite.ts'
import { FileStand } from '../../support/file-peers.ts'

const WITHIN = 5000

/** What the store says of itself, and what a recount says. */
function counts(directory: string): { readonly meta: number[]; readonly counted: number[] } {
  const database = openSqlite(join(directory, 'cache.db'))
  const meta = database.prepare('SELECT entries, tombstones, bytes FROM meta').raw().get()
  const counted = database
    .prepare(
      `SELECT count(*) FILTER (WHERE kind = 1), count(*) FILTER (WHERE kind = 0),
       coalesce(sum(size), 0) FROM cells`,
    )
    .raw()
    .get()
  database.close()
  return { meta: meta as number[], counted: counted as number[] }
}

async function put(
  cache: CacheBackend,
  key: string,
  payload: string = 'x',
  expiresAt: number = NEVER,
  expect: string = ANY,
): Promise<boolean> {
  const options = { expect, within: WITHIN }
  return (await cache.write(key, { payload, expiresAt }, options)).written
}

async function live(cache: FileCache, keys: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const key of keys) if ((await cache.read(key)).state === 'value') found.push(key)
  return found
}

const keys = (count: number, prefix = 'k'): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`)

describe('bounds', () => {
  test('entries: never more than maxEntries, and the newest stay', async (context) => {
    const stand = new FileStand(context)
    const { cache } = stand.local({ maxEntries: 200 })
    const all = keys(1000)
    for (const key of all) {
      await put(cache, key)
      expect((await cache.read(key)).state).toBe('value')
    }
    const found = await live(cache, all)
    expect(found.length).toBeLessThanOrEqual(200)
    expect(found.length).toBeGreaterThan(150)
    expect(found).toEqual(all.slice(-found.length))
    const { meta, counted } = counts(stand.directory)
    expect(meta).toEqual(counted)
  })

  test('bytes: never more than maxBytes, however different the sizes', async (context) => {
    const stand = new FileStand(context)
    const maxBytes = 500_000
    const { cache } = stand.local({ maxBytes })
    for (let i = 0; i < 300; i++) {
      await put(cache, `k${i}`, 'é'.repeat(i % 10 === 0 ? 60_000 : 50))
      if (i % 50 === 0) expect(counts(stand.directory).meta[2]).toBeLessThanOrEqual(maxBytes)
    }
    const { meta, counted } = counts(stand.directory)
    expect(meta).toEqual(counted)
    expect(counted[2]).toBeLessThanOrEqual(maxBytes)
    expect(counted[2]).toBeGreaterThan(maxBytes / 2)
    await expect(put(cache, 'huge', 'x'.repeat(maxBytes))).rejects.toMatchObject({
      code: 'SB_VALUE_TOO_LARGE',
    })
  })

  test('what is used stays, what is not goes', async (context) => {
    const stand = new FileStand(context)
    const { cache } = stand.local({ maxEntries: 200, sweepInterval: 10 })
    const used = keys(20, 'used')
    for (const key of used) await put(cache, key)
    for (const key of keys(170, 'idle')) await put(cache, key)
    for (let round = 0; round < 6; round++) {
      // Read from memory; the sweeper tells the clock.
      await live(cache, used)
      await expect
        .poll(() => {
          const database = openSqlite(join(stand.directory, 'cache.db'))
          const sql = "SELECT count(*) FROM cells WHERE key LIKE 'used%' AND used = 1"
          const [count] = database.prepare(sql).raw().get() as [number]
          database.close()
          return count
        })
        .toBe(20)
      for (const key of keys(100, `new${round}-`)) await put(cache, key)
    }
    expect(await live(cache, used)).toEqual(used)
    expect(await live(cache, keys(170, 'idle'))).toEqual([])
  })

  test('a young value that was evicted still refuses a filler that saw nothing', async (context) => {
    const stand = new FileStand(context)
    const { cache } = stand.local({ maxEntries: 100 })
    expect((await cache.read('k')).token).toBe('')
    await put(cache, 'k', 'newer')
    for (const key of keys(300, 'other')) await put(cache, key)
    const cell = await cache.read('k')
    expect(cell.state).toBe('tombstone')
    expect(await put(cache, 'k', 'older', NEVER, '')).toBe(false)
    expect(await put(cache, 'k', 'loaded after', NEVER, cell.token)).toBe(true)
  })

  test('an old value that is evicted leaves nothing', async (context) => {
    const stand = new FileStand(context)
    const { cache } = stand.local({ maxEntries: 100, tombstoneTtl: 1 })
    for (const key of keys(500)) await put(cache, key)
    await expect
      .poll(async () => {
        await put(cache, `${Math.random()}`)
        return counts(stand.directory).counted[1]
      })
      .toBeLessThan(50)
    expect((await cache.read('k0')).state).toBe('absent')
  })

  test('too many tombstones give way to the floor, which refuses in their place', async (context) => {
    const stand = new FileStand(context)
    const { cache } = stand.local({ maxEntries: 10 })
    const seen = await cache.read('k')
    expect(seen.state).toBe('absent')
    await put(cache, 'k', 'newer')
    await cache.invalidate('k', { within: WITHIN })
    for (const key of keys(1600, 'other')) await cache.invalidate(key, { within: WITHIN })
    const { meta, counted } = counts(stand.directory)
    expect(meta).toEqual(counted)
    expect(counted[1]).toBeLessThanOrEqual(1001)

    const cell = await cache.read('k')
    expect(cell.state).toBe('tombstone')
    expect(await put(cache, 'k', 'older', NEVER, seen.token)).toBe(false)
    expect(await put(cache, 'k', 'loaded after', NEVER, cell.token)).toBe(true)
  })

  test('a filler that saw nothing is refused after a clear', async (context) => {
    const { cache } = new FileStand(context).local()
    await put(cache, 'k', '1')
    await cache.clear()
    expect(await put(cache, 'k', 'older', NEVER, '')).toBe(false)
    expect(await put(cache, 'never there', 'older', NEVER, '')).toBe(false)
    expect(await put(cache, 'k', 'newer', NEVER, (await cache.read('k')).token)).toBe(true)
  })
})

describe('the sweeper', () => {
  test('removes what is dead, by one process at a time, and gives the space back', async (context) => {
    const stand = new FileStand(context)
    const options = { sweepInterval: 10, tombstoneTtl: 50 }
    const [a, b] = [stand.local(options), stand.local(options)]
    await b.read('k')
    for (const key of keys(1500)) await put(a.cache, key, 'x'.repeat(8000), Date.now() + 50)
    for (const key of keys(500, 'deleted')) await a.cache.invalidate(key, { within: WITHIN })
    await put(a.cache, 'kept', 'x')
    const database = openSqlite(join(stand.directory, 'cache.db'))
    const pages = (): number => {
      const [count] = database.prepare('PRAGMA page_count').raw().get() as [number]
      return count
    }
    const full = pages()
    expect(full).toBeGreaterThan(2500)
    await expect
      .poll(() => counts(stand.directory).counted.slice(0, 2), { timeout: 15_000 })
      .toEqual([1, 0])
    await expect.poll(pages, { timeout: 15_000 }).toBeLessThan(800)
    database.close()
    const { meta, counted } = counts(stand.directory)
    expect(meta).toEqual(counted)
    expect((await b.read('kept')).state).toBe('value')
    // The file itself shrinks with the next checkpoint.
    expect(statSync(join(stand.directory, 'cache.db')).size).toBeGreaterThan(0)
  })

  test('keeps no process alive', async (context) => {
    const peer = new FileStand(context).process()
    const options = { directory: new FileStand(context).directory }
    await peer.call({ options, target: 'cache', method: 'ping', args: [] })
    const ended = new Promise((resolve) => peer.child.once('exit', resolve))
    peer.child.disconnect()
    expect(await ended).toBe(0)
  })
})
