// One process of `test/cache/file/coherence.test.ts`. A writer puts the number of its last
// acknowledged write of each key into a shared file; a reader looks there *before* it reads the cache,
// and must not find anything older. It goes on until it is told to end, and tells how far it is.
import { openSync, readSync, writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { ANY, NEVER } from '../../dist/backend.mjs'
import { fileCache } from '../../dist/index.mjs'

const [role, directory, acksPath, first, count, damaged] = process.argv.slice(2)
let warned = 0
const cache = fileCache({ directory, busyTimeout: 10_000 })
cache.onWarning(() => warned++)
const acks = openSync(acksPath, 'r+')
const word = new Float64Array(1)
const keys = Array.from({ length: Number(count) }, (_, i) => Number(first) + i)
const told = new AbortController()
process.on('message', () => told.abort())
let done = 0
let hits = 0
let stale = 0
let failed = 0

for (let round = 0; !told.signal.aborted; round++) {
  for (const key of keys) {
    try {
      await (role === 'write' ? write(key) : read(key))
    } catch (error) {
      failed++
      if (!damaged) throw error
    }
  }
  // A writer leaves readers time to keep copies in memory, or there would be nothing to invalidate.
  for (let i = 0; i < (role === 'write' ? 20 : 1); i++) await setImmediate()
  if (round % 20 === 0) process.send({ done, hits, stale, failed, warned })
}
process.send({ done, hits, stale, failed, warned, ended: true })
await cache.close()
process.disconnect()

async function write(key) {
  const n = ++done
  if (n % 3 === 0) {
    await cache.invalidate(`k${key}`, { within: 10_000, successor: String(n).padStart(12, '0') })
  } else {
    const entry = { payload: String(n), expiresAt: NEVER }
    await cache.write(`k${key}`, entry, { expect: ANY, within: 10_000 })
  }
  word[0] = n
  writeSync(acks, word, 0, 8, key * 8)
}

async function read(key) {
  readSync(acks, word, 0, 8, key * 8)
  const least = word[0]
  const cell = cache.read(`k${key}`)
  const { state, payload, successor } = await cell
  const n = state === 'value' ? Number(payload) : state === 'tombstone' ? Number(successor) : 0
  done++
  if (n === least) hits++
  // 0: nothing is there. Damage may take a value, but must not bring an older one back.
  if (n < least && (n > 0 || !damaged)) stale++
}
