import { randomBytes } from 'node:crypto'
import {
  closeSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ANY, fileCache, NEVER } from '../../../src/cache/index.ts'
import { openSqlite } from '../../../src/cache/file/sqlite/sqlite.ts'
import { type FilePeer, FileStand, PeerProcess } from '../../support/file-peers.ts'

const KEYS = 300
const PAYLOAD = 'x'.repeat(3000)

type Damage = (path: string) => void

const truncated: Damage = (path) => truncateSync(path)
const halved: Damage = (path) => truncateSync(path, Math.floor(statSync(path).size / 2))
const deleted: Damage = (path) => rmSync(path)
const garbled: Damage = (path) => {
  // In place: the processes that have the file open must see it.
  const file = openSync(path, 'r+')
  writeSync(file, randomBytes(statSync(path).size))
  closeSync(file)
}
const text: Damage = (path) => writeFileSync(path, 'not a database')

/** File, what happens to it, and whether something is lost (undefined: it depends on what was cached). */
const AT_REST: readonly [string, string, Damage, boolean | undefined][] = [
  ['.db', 'truncated', truncated, true],
  ['.db', 'halved', halved, undefined],
  ['.db', 'garbled', garbled, true],
  ['.db', 'replaced by text', text, true],
  ['.db', 'deleted', deleted, true],
  ['.db-wal', 'truncated', truncated, true],
  ['.db-wal', 'halved', halved, undefined],
  ['.db-wal', 'garbled', garbled, true],
  ['.db-wal', 'deleted', deleted, true],
  ['.db-shm', 'truncated', truncated, false],
  ['.db-shm', 'garbled', garbled, undefined],
  ['.db-shm', 'deleted', deleted, false],
  ['.control', 'truncated', truncated, true],
  ['.control', 'halved', halved, true],
  ['.control', 'garbled', garbled, true],
  ['.control', 'deleted', deleted, true],
  ['.lock', 'garbled', text, false],
  ['.lock', 'deleted', deleted, false],
]

/** Not a truncated `-shm`: SQLite has it mapped, and the process ends with SIGBUS. */
const IN_USE: typeof AT_REST = [
  ['.db', 'truncated', truncated, undefined],
  ['.db', 'halved', halved, undefined],
  ['.db', 'garbled', garbled, undefined],
  ['.db', 'deleted', deleted, true],
  ['.db-wal', 'truncated', truncated, undefined],
  ['.db-wal', 'halved', halved, undefined],
  ['.db-wal', 'garbled', garbled, undefined],
  ['.db-shm', 'garbled', garbled, undefined],
  ['.control', 'truncated', truncated, true],
  ['.control', 'halved', halved, undefined],
  ['.control', 'garbled', garbled, true],
  ['.control', 'deleted', deleted, true],
  ['.lock', 'garbled', text, false],
  ['.lock', 'deleted', deleted, false],
]

/** A full store as a killed process leaves it: its log not yet merged into the database. */
const image = mkdtempSync(join(tmpdir(), 'switchback-image-'))
let processes: readonly [PeerProcess, PeerProcess]

beforeAll(async () => {
  processes = [new PeerProcess(), new PeerProcess()]
  const directory = mkdtempSync(join(tmpdir(), 'switchback-image-'))
  const cache = fileCache({ directory })
  const options = { expect: ANY, within: 10_000 }
  for (const round of ['old', '']) {
    for (let i = 0; i < KEYS; i++) {
      await cache.write(`k${i}`, { payload: `${i} ${round}${PAYLOAD}`, expiresAt: NEVER }, options)
    }
  }
  cpSync(directory, image, { recursive: true })
  await cache.close()
  rmSync(directory, { recursive: true })
})

afterAll(async () => {
  await Promise.all(processes.map((process) => process.kill()))
  rmSync(image, { recursive: true })
})

describe('damage at rest', () => {
  test.for(AT_REST)('%s %s', async ([file, , damage, lost], context) => {
    const stand = new FileStand(context)
    const { directory } = stand
    cpSync(image, directory, { recursive: true })
    damage(join(directory, `cache${file}`))
    const peers = [stand.local(), stand.local()]
    await expectSound(peers, lost, directory)
  })
})

describe('damage in use', () => {
  test.for(IN_USE)('%s %s', async ([file, , damage, lost], context) => {
    const stand = new FileStand(context)
    const { directory } = stand
    cpSync(image, directory, { recursive: true })
    const peers = [stand.peer({}, processes[0]), stand.peer({}, processes[1])] as const
    await fill(peers[0], 20)
    await peers[1].read('k1')
    damage(join(directory, `cache${file}`))
    // A reader looks only every 100 ms whether a file is still the same; a writer looks each time.
    if (damage === deleted) for (const peer of peers) await peer.call('cache', 'ping')
    await expectSound(peers, lost, directory)
  })
})

test('the whole directory deleted in use: everybody follows, and nothing older is trusted', async (context) => {
  const stand = new FileStand(context)
  const directory = join(stand.directory, 'cache')
  const peers = [stand.peer({ directory }), stand.peer({ directory })] as const
  await fill(peers[0])
  await peers[0].call('ledger', 'owe', 'on', 'k0', 0)
  await peers[1].read('k1')
  rmSync(directory, { recursive: true })
  // Somebody new begins a store without knowing that there was one.
  const newcomer = stand.peer({ directory })
  await newcomer.read('k0')
  await Promise.all(peers.map((peer) => peer.call('cache', 'ping')))
  await expectSound([...peers, newcomer], true, directory)
})

test('damaged files are kept for a look, but not for ever', async (context) => {
  const stand = new FileStand(context)
  const { directory } = stand
  for (let i = 0; i < 5; i++) {
    cpSync(image, directory, { recursive: true })
    garbled(join(directory, 'cache.db'))
    garbled(join(directory, 'cache.db-wal'))
    const peer = stand.local()
    await peer.read('k')
    await peer.cache.close()
  }
  const kept = readdirSync(directory).filter((file) => /\.db\.damaged-[\dTZ-]+$/.test(file))
  expect(kept).toHaveLength(3)
})

test('after a loss of power nothing from before is trusted', async (context) => {
  const stand = new FileStand(context)
  const { directory } = stand
  cpSync(image, directory, { recursive: true })
  const database = openSqlite(join(directory, 'cache.db'))
  database.exec("UPDATE meta SET boot_id = 'another'")
  database.close()
  const peers = [stand.local(), stand.local()]
  await expectSound(peers, true, directory)
  expect(peers.flatMap(({ warnings }) => warnings)).toEqual(['SB_FILE_STORE_RESET'])
})

test("a newer version's files are left alone, an older one's are replaced", async (context) => {
  const stand = new FileStand(context)
  cpSync(image, stand.directory, { recursive: true })
  const setVersion = (version: number): void => {
    const database = openSqlite(join(stand.directory, 'cache.db'))
    database.exec(`UPDATE meta SET version = ${version}`)
    database.close()
  }
  setVersion(99)
  await expect(stand.local().read('k0')).rejects.toMatchObject({ code: 'SB_FILE_STORE_NEWER' })
  setVersion(0)
  const here = stand.local()
  expect((await here.read('k0')).state).toBe('tombstone')
  expect(here.warnings).toEqual(['SB_FILE_STORE_RESET'])
})

test('what was owed in a database that is gone is not written off in a new one', async (context) => {
  const { directory } = new FileStand(context)
  await using cache = fileCache({ directory })
  const { ledger } = cache
  for (const key of ['a', 'b', 'c']) await ledger.owe('on', key, 0)
  const forget = ledger.writeOff('on')
  for (const name of readdirSync(directory)) rmSync(join(directory, name))
  await ledger.owe('on', 'new', 0)
  await forget()
  expect(ledger.list('on', 10).map(({ key }) => key)).toEqual(['new'])
})

async function fill(peer: FilePeer, keys: number = KEYS): Promise<void> {
  for (let i = 0; i < keys; i++) await peer.put(`k${i}`, `${i} ${PAYLOAD}`)
}

/** Nobody crashed, nothing old came back, whatever was lost is fenced, and all go on together. */
async function expectSound(
  peers: readonly FilePeer[],
  lost: boolean | undefined,
  directory: string,
): Promise<void> {
  const damagedAt = Date.now()
  let gone = 0
  for (const peer of peers) {
    for (let i = 0; i < KEYS; i++) {
      const cell = await peer.read(`k${i}`)
      if (cell.state === 'value')
        expect(cell.payload.slice(0, 9)).toBe(`${i} ${PAYLOAD}`.slice(0, 9))
      else gone++
    }
  }
  for (const [i, peer] of peers.entries()) {
    for (const other of peers) {
      const payload = `new ${i} ${Math.random()}`
      await peer.put('k1', payload)
      expect((await other.read('k1')).payload).toBe(payload)
      expect((await other.invalidate('k1')).existed).toBe(true)
      expect((await peer.read('k1')).state).toBe('tombstone')
    }
  }
  for (const side of ['off', 'on']) {
    const fences = await Promise.all(peers.map((peer) => peer.call('ledger', 'fencedBefore', side)))
    expect(new Set(fences).size).toBe(1)
    const fenced = (fences[0] as number) > damagedAt - 60_000
    if (lost !== undefined) expect(fenced).toBe(lost)
    else if (gone > 0) expect(fenced).toBe(true)
    expect(await Promise.all(peers.map((peer) => peer.call('ledger', 'owes', side, 'k0')))).toEqual(
      peers.map(() => false),
    )
  }
  const warnings = peers.flatMap((peer) => peer.warnings)
  if (lost === false) expect(warnings).toEqual([])
  if (lost === true) expect(warnings.length).toBe(1)
  expect(warnings.length).toBeLessThanOrEqual(1)
  expect(existsSync(join(directory, 'cache.db'))).toBe(true)
}
