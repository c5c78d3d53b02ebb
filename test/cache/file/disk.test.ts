import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SwitchbackError } from '../../../src/errors.ts'
import { ANY, fileCache, NEVER } from '../../../src/cache/index.ts'
import { openSqlite } from '../../../src/cache/file/sqlite/sqlite.ts'
import { SmallDisk } from '../../support/file-disk.ts'
import { FileStand, PeerProcess } from '../../support/file-peers.ts'

const disk = SmallDisk.mount(8)
if (disk === undefined) process.stderr.write('\n!!! SKIPPED: full disks, mount is not permitted\n')
afterAll(() => disk?.unmount())

describe.skipIf(disk === undefined)('a disk that is full', () => {
  let other: PeerProcess
  beforeAll(() => {
    other = new PeerProcess()
  })
  afterAll(async () => other.kill())
  const on = (name: string): string => join(disk?.path ?? '', name)

  test('fails clearly, reads on, fences all the same, and recovers by itself', async (context) => {
    const stand = new FileStand(context)
    const directory = on('full')
    const here = stand.local({ directory })
    const there = stand.peer({ directory }, other)
    await here.put('k', 'x'.repeat(1000))
    await there.read('k')
    disk?.fill()

    const error = await failure(async () => {
      for (;;) await here.put(`k${Math.random()}`, 'x'.repeat(100_000))
    })
    expect(error).toMatchObject({ code: 'SB_FILE_STORE_FULL', cause: expect.anything() })
    expect(error.message).toContain(directory)
    await expect(there.put('k', 'x'.repeat(100_000))).rejects.toMatchObject({
      code: 'SB_FILE_STORE_FULL',
    })
    expect((await here.read('k')).state).toBe('value')
    expect((await there.read('k')).state).toBe('value')
    await expect(here.invalidate('k')).rejects.toMatchObject({ code: 'SB_FILE_STORE_FULL' })
    await expect(here.call('cache', 'ping')).rejects.toMatchObject({ code: 'SB_FILE_STORE_FULL' })
    await expect(here.call('ledger', 'owe', 'on', 'k', 0)).rejects.toMatchObject({
      code: 'SB_FILE_STORE_FULL',
    })

    // What could not be invalidated can be distrusted.
    const before = Date.now() + 1
    await here.call('ledger', 'fence', 'off', before)
    expect(await there.call('ledger', 'fencedBefore', 'off')).toBe(before)

    disk?.free()
    await here.put('k', 'again')
    expect((await there.read('k')).payload).toBe('again')
    expect((await there.invalidate('k')).existed).toBe(true)
    expect(await here.call('ledger', 'fencedBefore', 'off')).toBe(before)
    expect(here.warnings).toEqual([])
    expect(there.warnings).toEqual([])
  })

  test('a store that finds no room to begin in begins later', async (context) => {
    const stand = new FileStand(context)
    disk?.fill()
    const here = stand.local({ directory: on('later') })
    await expect(here.read('k')).rejects.toMatchObject({ code: 'SB_FILE_STORE_FULL' })
    expect(() => here.cache.ledger.owes('on', 'k')).toThrow(
      expect.objectContaining({ code: 'SB_FILE_STORE_FULL' }),
    )
    disk?.free()
    await expect.poll(() => here.put('k', '1').then(() => 'stored', String)).toBe('stored')
    expect((await here.read('k')).payload).toBe('1')
  })
})

describe.skipIf(disk === undefined)('a disk that is read-only', () => {
  const readOnly = disk === undefined ? undefined : SmallDisk.mount(4)
  afterAll(() => readOnly?.unmount())

  test('fails clearly, with and without a store on it, and recovers by itself', async (context) => {
    const stand = new FileStand(context)
    const [directory, empty] = [
      join(readOnly?.path ?? '', 'cache'),
      join(readOnly?.path ?? '', 'new'),
    ]
    const before = stand.process()
    await stand.peer({ directory }, before).put('k', '1')
    await before.kill()
    readOnly?.remount('ro')
    const peer = stand.peer({ directory })
    for (const run of [
      () => peer.put('k', '2'),
      () => peer.read('k'),
      () => stand.local({ directory: empty }).read('k'),
    ]) {
      expect(await failure(run)).toMatchObject({ code: 'SB_FILE_STORE_READONLY' })
    }
    readOnly?.remount('rw')
    await expect.poll(() => peer.put('k', '2').then(() => 'stored', String)).toBe('stored')
    expect(peer.warnings).toEqual([])
  })
})

test('makes its directory and files for their owner only', async (context) => {
  const stand = new FileStand(context)
  const directory = join(stand.directory, 'a', 'b')
  const here = stand.local({ directory })
  expect(() => statSync(directory)).toThrow('ENOENT')
  await here.put('k', '1')
  expect(statSync(directory).mode & 0o777).toBe(0o700)
  const files = readdirSync(directory)
  expect(files.sort()).toEqual([
    'cache.control',
    'cache.db',
    'cache.db-shm',
    'cache.db-wal',
    'cache.lock',
  ])
  for (const file of files) expect(statSync(join(directory, file)).mode & 0o777).toBe(0o600)
})

test('says what is wrong with a directory', async (context) => {
  const stand = new FileStand(context)
  const file = join(stand.directory, 'file')
  writeFileSync(file, '')
  for (const directory of [file, join(file, 'below')]) {
    const error = await failure(() => stand.local({ directory }).read('k'))
    expect(error).toMatchObject({ code: 'SB_FILE_STORE_DIRECTORY', hint: expect.any(String) })
    expect(error.message).toContain(file)
  }
  // Node's own recursive mkdir never returns from this one.
  await expect(stand.local({ directory: '/proc/nobody/here' }).read('k')).rejects.toMatchObject({
    code: expect.stringMatching(/^SB_FILE_STORE_/),
  })
  mkdirSync(join(stand.directory, 'taken.db'))
  await expect(stand.local({ name: 'taken' }).read('k')).rejects.toMatchObject({
    code: expect.stringMatching(/^SB_FILE_STORE_/),
  })
})

test('refuses options that make no sense, by name', () => {
  for (const [option, value] of [
    ['directory', ''],
    ['name', '../x'],
    ['maxEntries', 0],
    ['maxBytes', NaN],
    ['tombstoneTtl', -1],
  ] as const) {
    expect(() => fileCache({ directory: '/tmp/x', [option]: value })).toThrow(
      expect.objectContaining({
        code: 'SB_FILE_OPTION_INVALID',
        message: expect.stringContaining(option),
      }),
    )
  }
})

test('is of no use once closed, and says so', async (context) => {
  const here = new FileStand(context).local()
  await here.put('k', '1')
  await here.read('k')
  await here.cache.close()
  for (const call of [
    () => here.read('k'),
    () => here.put('k', '2'),
    () => here.invalidate('k'),
    () => here.call('ledger', 'owes', 'on', 'k'),
    () => here.cache.clear(),
  ]) {
    await expect(call()).rejects.toMatchObject({ code: 'SB_FILE_STORE_CLOSED' })
  }
})

test('answers at once when nobody else writes, and later when somebody does', async (context) => {
  const stand = new FileStand(context)
  const here = stand.local({ busyTimeout: 5000 })
  const write = () =>
    here.cache.write('k', { payload: '1', expiresAt: NEVER }, { expect: ANY, within: 5000 })
  expect(write()).toMatchObject({ written: true })
  const somebody = openSqlite(join(stand.directory, 'cache.db'))
  somebody.exec('BEGIN IMMEDIATE')
  const written = write()
  expect(written).toBeInstanceOf(Promise)
  // Readers do not wait for writers.
  expect(here.cache.read('k')).toMatchObject({ state: 'value' })
  expect(here.cache.ledger.owes('on', 'k')).toBe(false)
  somebody.exec('COMMIT')
  expect(await written).toMatchObject({ written: true })

  somebody.exec('BEGIN IMMEDIATE')
  const late = here.cache.write(
    'k',
    { payload: '2', expiresAt: NEVER },
    { expect: ANY, within: 100 },
  )
  await expect(late).rejects.toMatchObject({ code: 'SB_FILE_STORE_BUSY' })
  somebody.exec('ROLLBACK')
  somebody.close()
  expect((await here.read('k')).payload).toBe('1')
})

test('what waited for the lock until its time was up is not done any more', async (context) => {
  const stand = new FileStand(context)
  const here = stand.local({ busyTimeout: 5000 })
  await here.put('k', '1')
  const somebody = openSqlite(join(stand.directory, 'cache.db'))
  const entry = { payload: 'late', expiresAt: NEVER }
  for (const late of [
    () => here.cache.write('k', entry, { expect: ANY, within: 50 }),
    () => here.cache.invalidate('k', { within: 50 }),
  ]) {
    somebody.exec('BEGIN IMMEDIATE')
    const done = late()
    expect(done).toBeInstanceOf(Promise)
    somebody.exec('ROLLBACK')
    // This process stands still, with the lock free.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
    const result = await Promise.resolve(done).catch(() => undefined)
    expect([
      undefined,
      { written: false, token: '' },
      { done: false, existed: false, token: '' },
    ]).toContainEqual(result)
    expect((await here.read('k')).payload).toBe('1')
  }
  somebody.close()
})

async function failure(run: () => Promise<unknown>): Promise<SwitchbackError> {
  try {
    await run()
  } catch (error) {
    return error as SwitchbackError
  }
  throw new Error('nothing failed')
}
