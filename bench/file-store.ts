// Cost of the file store's operations, one after another in one process, with 1 KiB of JSON text:
// `node bench/file-store.ts` (Node >= 22.18; else a build).
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ANY, type CacheBackend, fileCache, NEVER } from '../src/cache/index.ts'

const COUNT = 10_000
const KEYS = Array.from({ length: COUNT }, (_, i) => `user:${String(i).padStart(15, '0')}`)
const PAYLOAD = JSON.stringify({ id: 7, text: 'x'.repeat(1000) })
const ENTRY = { payload: PAYLOAD, expiresAt: Date.now() + 3_600_000 }
const WRITE = { expect: ANY, within: 1000 }
const INVALIDATE = { within: 1000 }

const directory = mkdtempSync(join(tmpdir(), 'switchback-bench-'))

function measure(name: string, run: (key: string, i: number) => unknown, rounds = 3): void {
  let best = Infinity
  const all: number[] = []
  for (let round = 0; round < rounds; round++) {
    const started = performance.now()
    for (let i = 0; i < COUNT; i++) {
      const at = performance.now()
      run(KEYS[i] ?? '', i)
      all.push(performance.now() - at)
    }
    best = Math.min(best, ((performance.now() - started) / COUNT) * 1000)
  }
  all.sort((a, b) => a - b)
  const p999 = (all[Math.floor(all.length * 0.999)] ?? 0) * 1000
  const max = (all.at(-1) ?? 0) * 1000
  console.log(
    `${name.padEnd(46)} ${best.toFixed(1).padStart(8)} ${p999.toFixed(0).padStart(8)} ${max.toFixed(0).padStart(8)}`,
  )
}

try {
  console.log(
    `${'us an operation'.padEnd(46)} ${'mean'.padStart(8)} ${'p99.9'.padStart(8)} ${'max'.padStart(8)}`,
  )
  const cache = fileCache({ directory })
  measure('write, new key', (key) => cache.write(key, ENTRY, WRITE), 1)
  measure('write, again', (key) => cache.write(key, ENTRY, WRITE))
  measure('read (hit)', (key) => cache.read(key))
  measure('read, and JSON.parse', (key) =>
    JSON.parse((cache.read(key) as { payload: string }).payload),
  )
  measure('ledger.owes, nothing owed', (key) => cache.ledger.owes('on', key))
  measure('ledger.fencedBefore', () => cache.ledger.fencedBefore('on'))
  measure('hit as the switch does it: owes, fence, read', (key) => {
    if (!cache.ledger.owes('on', key) && cache.ledger.fencedBefore('off') === 0)
      return cache.read(key)
    return undefined
  })
  measure('write, token expected and refused', (key) =>
    cache.write(key, ENTRY, { expect: 'xxxxxxxxxxxx', within: 1000 }),
  )
  measure('invalidate', (key) => cache.invalidate(key, INVALIDATE))
  measure('read, absent', (_, i) => cache.read(`nobody${i}`))
  measure('ledger.owe, new key', (key) => cache.ledger.owe('on', key, 0), 1)
  measure('ledger.owes, 10,000 owed, remembered', (key) => cache.ledger.owes('on', key), 4)
  measure(
    'ledger.list and settle',
    () => {
      for (const owed of cache.ledger.list('on', 1)) void cache.ledger.settle(owed)
    },
    1,
  )
  evict()
  await cache.close()
} finally {
  rmSync(directory, { recursive: true })
}

function evict(): void {
  const small: CacheBackend = fileCache({ directory, name: 'small', maxEntries: 5000 })
  measure(
    'write, new key, evicting a young one',
    (key, i) => small.write(`${key}${i}`, { payload: PAYLOAD, expiresAt: NEVER }, WRITE),
    1,
  )
  void small.close()
}
