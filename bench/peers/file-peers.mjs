/** The peers on files and SQLite, each with its defaults, except where a default would lose data. */
import { mkdirSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { BentoCache, bentostore } from 'bentocache'
import { fileDriver } from 'bentocache/drivers/file'
import { kyselyDriver } from 'bentocache/drivers/kysely'
import cacache from 'cacache'
import { Keyv } from 'keyv'
import { KeyvFile } from 'keyv-file'
import { Kysely, SqliteDialect } from 'kysely'
import { open } from 'lmdb'
import { TTL } from './stage.mjs'

const Database = createRequire(import.meta.url)('libsql')

/** One file a key, written beside and renamed. */
export function openPlainFiles({ directory }) {
  const at = join(directory, 'plain')
  mkdirSync(at)
  const fileOf = (key) => join(at, encodeURIComponent(key))
  return {
    get: async (key) => JSON.parse(await readFile(fileOf(key), 'utf8')),
    async set(key, value) {
      await writeFile(`${fileOf(key)}.new`, JSON.stringify(value))
      await rename(`${fileOf(key)}.new`, fileOf(key))
    },
  }
}

/** One file a key, as its README names the mode: `separatedFile`. */
export function openKeyvFile({ directory, atEnd }, separatedFile) {
  const at = join(directory, separatedFile ? 'keyv-files' : 'keyv-file')
  mkdirSync(at)
  const store = new KeyvFile({ filename: join(at, 'cache.json'), separatedFile })
  const keyv = new Keyv(store, { ttl: TTL })
  atEnd(() => keyv.disconnect())
  return { get: (key) => keyv.get(key), set: (key, value) => keyv.set(key, value) }
}

export function openBentocacheFile({ directory, atEnd }) {
  const driver = fileDriver({ directory: join(directory, 'bento'), pruneInterval: false })
  return bentocacheOn(driver, atEnd)
}

/** On the same SQLite as `fileCache`, with the same durability. */
export function openBentocacheSqlite({ directory, atEnd }) {
  const database = openDatabase(join(directory, 'bento.db'))
  const connection = new Kysely({ dialect: new SqliteDialect({ database }) })
  return bentocacheOn(kyselyDriver({ connection }), atEnd)
}

export function openCacache({ directory }) {
  const at = join(directory, 'cacache')
  return {
    get: async (key) => JSON.parse((await cacache.get(at, key)).data),
    set: (key, value) => cacache.put(at, key, JSON.stringify(value)),
  }
}

/** SQLite by hand, for reference: no expiry, nobody else's writes looked after. */
export function openSqlite({ directory, atEnd }) {
  const database = openDatabase(join(directory, 'plain.db'))
  database.exec('CREATE TABLE cache (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID')
  const select = database.prepare('SELECT value FROM cache WHERE key = ?')
  const insert = database.prepare('INSERT OR REPLACE INTO cache VALUES (?, ?)')
  atEnd(() => database.close())
  return {
    get: (key) => JSON.parse(select.get(key).value),
    set: (key, value) => insert.run(key, JSON.stringify(value)),
  }
}

/** LMDB by hand, for reference: reads of a snapshot that may be a moment old. */
export function openLmdb({ directory, atEnd }) {
  const store = open({ path: join(directory, 'lmdb'), encoding: 'string' })
  atEnd(() => store.close())
  return {
    get: (key) => JSON.parse(store.get(key)),
    set: (key, value) => store.put(key, JSON.stringify(value)),
  }
}

function bentocacheOn(driver, atEnd) {
  const store = bentostore().useL2Layer(driver)
  const bento = new BentoCache({ default: 'store', ttl: TTL, stores: { store } })
  atEnd(() => bento.disconnect())
  return { get: (key) => bento.get({ key }), set: (key, value) => bento.set({ key, value }) }
}

function openDatabase(path) {
  const database = new Database(path)
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF')
  return database
}
