// One process of `file-store-kill.ts`: works on the shared file cache until it is killed, and notes
// before each operation what it is about to do and after it that it was acknowledged. The notes are
// written to a file at once, so they outlive the kill. At its start it checks that the store still
// holds what its predecessor's notes say.
import { existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { ANY, NEVER } from '../../dist/backend.mjs'
import { fileCache } from '../../dist/index.mjs'

const [mode, directory, notes, slot, life] = process.argv.slice(2)
const KEYS = 40
const within = 10_000
const cache = fileCache({
  directory,
  tombstoneTtl: 3_600_000,
  sweepInterval: 50,
  busyTimeout: within,
})
cache.onWarning(({ code, message }) => process.send?.({ lost: `warning ${code}: ${message}` }))

/** Key -> the last number acknowledged, and the last one begun. */
const known = new Map()
for (let i = 0; i < KEYS; i++) known.set(`${slot}:${i}`, { acked: 0, begun: 0 })

await readNotes(Number(life) - 1)
await check()
if (mode === 'check') {
  await cache.close()
  process.disconnect?.()
} else {
  const fd = openSync(`${notes}/${slot}.${life}`, 'a')
  writeSync(fd, [...known].map(([key, { acked }]) => `! ${key} ${acked}\n`).join(''))
  process.send({ started: true })
  await work(fd)
}

async function readNotes(previous) {
  const path = `${notes}/${slot}.${previous}`
  if (!existsSync(path)) return
  for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
    const [kind, key, number] = line.split(' ')
    const entry = known.get(key)
    if (entry === undefined) continue
    entry.begun = Math.max(entry.begun, Number(number))
    if (kind === '!') entry.acked = Number(number)
  }
}

async function check() {
  for (const [key, entry] of known) {
    const found = await numberIn(key)
    if (found < entry.acked || found > entry.begun) {
      process.send({ lost: `${key}: ${entry.acked} was acknowledged, ${found} is there` })
    }
    entry.acked = found
    entry.begun = found
    const owes = cache.ledger.owes('on', key)
    // Owed after each fourth number, settled before the next one.
    if (owes && found % 4 !== 0 && found % 4 !== 1) {
      process.send({ lost: `${key}: owed at ${found}, though that was settled` })
    }
  }
}

/** Odd numbers are values, even ones tombstones: both must survive. */
async function numberIn(key) {
  const cell = await cache.read(key)
  if (cell.state === 'value') return JSON.parse(cell.payload).n
  return cell.state === 'tombstone' ? Number(cell.successor) : 0
}

async function work(fd) {
  const note = (text) => writeSync(fd, `${text}\n`)
  for (let round = 0; ; round++) {
    const key = `${slot}:${Math.floor(Math.random() * KEYS)}`
    const entry = known.get(key)
    if (cache.ledger.owes('on', key)) {
      for (const owed of cache.ledger.list('on', 1e6)) {
        if (owed.key === key) await cache.ledger.settle(owed)
      }
      if (cache.ledger.owes('on', key)) process.send({ lost: `${key}: still owed once settled` })
    }
    const n = ++entry.begun
    note(`? ${key} ${n}`)
    if (n % 2 === 1) {
      const payload = JSON.stringify({ n, text: 'x'.repeat(Math.floor(Math.random() * 3000)) })
      const { written } = await cache.write(
        key,
        { payload, expiresAt: NEVER },
        { expect: ANY, within },
      )
      if (!written) process.send({ lost: `${key}: an unconditional write was refused` })
    } else {
      const done = await cache.invalidate(key, { within, successor: String(n).padStart(12, '0') })
      if (!done.existed) process.send({ lost: `${key}: nothing to invalidate at ${n}` })
    }
    note(`! ${key} ${n}`)
    if ((await numberIn(key)) !== n)
      process.send({ lost: `${key}: wrote ${n}, read something else` })
    if (n % 4 === 0) {
      await cache.ledger.owe('on', key, 0)
      if (!cache.ledger.owes('on', key)) process.send({ lost: `${key}: not owed after owe` })
    }
    await count(note)
    if (round % 20 === 0) await setImmediate()
  }
}

/** A counter shared by all: each acknowledged increment must have made a number of its own. */
async function count(note) {
  const cell = await cache.read('counter')
  const n = cell.state === 'value' ? Number(cell.payload) + 1 : 1
  const entry = { payload: String(n), expiresAt: NEVER }
  const { written } = await cache.write('counter', entry, { expect: cell.token, within })
  if (written) note(`# counter ${n}`)
}
