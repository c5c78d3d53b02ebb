import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  type Driver,
  libsqlDriver,
  nodeDriver,
  sqliteDriver,
} from '../../../src/cache/file/sqlite/sqlite-driver.ts'
import {
  errorCode,
  isBusy,
  isDamage,
  pragma,
  type Sqlite,
  transact,
} from '../../../src/cache/file/sqlite/sqlite.ts'

// What the file store relies on, of each driver that this Node.js has; `npm run test:consumers` runs it on
// every Node.js that is supported.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const inNode = major > 22 || (major === 22 && minor >= 16)

it('takes the driver in Node.js where there is one', () => {
  expect(sqliteDriver().name).toBe(inNode ? 'node:sqlite' : 'libsql')
  expect(nodeDriver()?.name).toBe(inNode ? 'node:sqlite' : undefined)
})

it('loading it warns nobody', () => {
  const driver = new URL('../../../build/cache/file/sqlite/sqlite-driver.js', import.meta.url)
  const program = `import { sqliteDriver } from '${driver.href}'; sqliteDriver().open(':memory:')`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})

it('knows an error of another realm, as Jest has them', () => {
  const busy: unknown = runInNewContext(
    "Object.assign(new Error('database is locked'), { code: 'ERR_SQLITE_ERROR', errcode: 261 })",
  )
  expect(busy).not.toBeInstanceOf(Error)
  expect([errorCode(busy), isBusy(busy), isDamage(busy)]).toEqual(['SQLITE_BUSY', true, false])
  const damaged: unknown = runInNewContext("new Error('database disk image is malformed')")
  expect(isDamage(damaged)).toBe(true)
  for (const nothing of [undefined, null, 'text', 7]) expect(errorCode(nothing)).toBe('')
})

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'switchback-driver-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function open(driver: Driver, path: string): Sqlite {
  const database = driver.open(path)
  onTestFinished(() => database.close())
  return database
}

function failure(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}

const drivers = [nodeDriver(), libsqlDriver()].filter((driver) => driver !== undefined)

describe.each(drivers.map((driver) => [driver.name, driver] as const))('%s', (_, driver) => {
  it('keeps texts, numbers, bytes and null as they are, in rows that are arrays', () => {
    const database = open(driver, join(directory(), 'a.db'))
    database.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT, at INTEGER, part REAL, raw)')
    const insert = database.prepare('INSERT INTO t (text, at, part, raw) VALUES (?, ?, ?, ?)')
    const bytes = new Uint8Array([0, 255, 1])
    expect(insert.run('Zoë \u{1F600} "\'', 1_783_000_000_123, 0.5, bytes).changes).toBe(1)
    insert.run('', Number.MAX_SAFE_INTEGER, -0.25, null)
    const select = database.prepare('SELECT text, at, part, raw FROM t ORDER BY id').raw()
    const [first, second] = select.all() as [string, number, number, Uint8Array | null][]
    expect(first?.slice(0, 3)).toEqual(['Zoë \u{1F600} "\'', 1_783_000_000_123, 0.5])
    expect([...(first?.[3] ?? [])]).toEqual([0, 255, 1])
    expect(second).toEqual(['', Number.MAX_SAFE_INTEGER, -0.25, null])
    expect(select.get()).toEqual(first)
    expect(database.prepare('SELECT 1 FROM t WHERE id = ?').raw().get(7)).toBeUndefined()
    const gone = database.prepare('DELETE FROM t WHERE at > ? RETURNING text').raw()
    expect(gone.all(0)).toHaveLength(2)
    expect(database.prepare('UPDATE t SET at = 1').run().changes).toBe(0)
  })

  it('a transaction is one, and is rolled back by what throws in it', () => {
    const database = open(driver, join(directory(), 'a.db'))
    database.exec('CREATE TABLE t (id)')
    const count = (): unknown => database.prepare('SELECT count(*) FROM t').raw().get()
    const insert = database.prepare('INSERT INTO t VALUES (?)')
    expect(database.inTransaction).toBe(false)
    const broken = failure(() =>
      transact(database, () => {
        insert.run(1)
        expect(database.inTransaction).toBe(true)
        throw new Error('in it')
      }),
    )
    expect(broken).toMatchObject({ message: 'in it' })
    expect(database.inTransaction).toBe(false)
    expect(count()).toEqual([0])
    transact(database, () => insert.run(1))
    expect(count()).toEqual([1])
  })

  it('says at once that another holds the lock, and takes it when it is free', () => {
    const path = join(directory(), 'a.db')
    const [one, other] = [open(driver, path), open(driver, path)]
    pragma(one, 'journal_mode=WAL')
    one.exec('CREATE TABLE t (id); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)')
    const started = performance.now()
    const error = failure(() => transact(other, () => undefined))
    expect(performance.now() - started).toBeLessThan(1_000)
    expect([isBusy(error), isDamage(error), other.inTransaction]).toEqual([true, false, false])
    // Readers go on.
    expect(other.prepare('SELECT count(*) FROM t').raw().get()).toEqual([0])
    one.exec('COMMIT')
    transact(other, () => other.exec('INSERT INTO t VALUES (2)'))
    expect(one.prepare('SELECT count(*) FROM t').raw().get()).toEqual([2])
  })

  it('the settings of the store hold', () => {
    const database = open(driver, join(directory(), 'a.db'))
    const settings = {
      auto_vacuum: 2,
      journal_mode: 'wal',
      synchronous: 0,
      mmap_size: 0,
      cell_size_check: 1,
      cache_size: -8192,
      wal_autocheckpoint: 500,
      journal_size_limit: 8_388_608,
    }
    for (const [name, value] of Object.entries(settings)) pragma(database, `${name}=${value}`)
    for (const [name, value] of Object.entries(settings)) {
      // What is off has no row.
      const [row = [0]] = database.prepare(`PRAGMA ${name}`).raw().all() as unknown[][]
      expect(row, name).toEqual([value])
    }
  })

  it('tells damage, a full disk and a file that cannot be opened apart', () => {
    const path = join(directory(), 'a.db')
    writeFileSync(path, 'this is no database, and long enough to be one '.repeat(100))
    const noDatabase = failure(() =>
      open(driver, path).prepare('SELECT 1 FROM sqlite_master').all(),
    )
    expect([errorCode(noDatabase), isDamage(noDatabase)]).toEqual(['SQLITE_NOTADB', true])
    const emptied = join(directory(), 'b.db')
    const database = open(driver, emptied)
    database.exec('CREATE TABLE t (id)')
    truncateSync(emptied)
    expect(isDamage(failure(() => database.prepare('SELECT * FROM t').all()))).toBe(true)
    const full = open(driver, join(directory(), 'c.db'))
    full.exec('CREATE TABLE t (text)')
    pragma(full, 'max_page_count=2')
    const error = failure(() =>
      transact(full, () => full.prepare('INSERT INTO t VALUES (?)').run('x'.repeat(100_000))),
    )
    expect([errorCode(error), isBusy(error), isDamage(error)]).toEqual([
      'SQLITE_FULL',
      false,
      false,
    ])
    expect(full.inTransaction).toBe(false)
    const missing = failure(() => driver.open(directory()))
    expect(errorCode(missing)).toBe('SQLITE_CANTOPEN')
  })

  it('gives its files back when it is closed, once or twice', () => {
    const place = directory()
    const database = driver.open(join(place, 'a.db'))
    pragma(database, 'journal_mode=WAL')
    database.exec('CREATE TABLE t (id)')
    database.close()
    database.close()
    expect(readdirSync(place)).toContain('a.db')
  })
})

it.runIf(drivers.length > 1)('one driver reads and locks what the other writes', () => {
  const path = join(directory(), 'a.db')
  const [one, other] = drivers.map((driver) => open(driver, path)) as [Sqlite, Sqlite]
  pragma(one, 'journal_mode=WAL')
  one.exec('CREATE TABLE t (id)')
  other.exec('INSERT INTO t VALUES (1)')
  expect(one.prepare('SELECT count(*) FROM t').raw().get()).toEqual([1])
  // In one process the locks of two copies of SQLite do not hold; `shared-files` has two.
})
