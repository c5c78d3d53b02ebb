import { fork } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fstatSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { FileStand } from '../../support/file-peers.ts'

const WORKER = fileURLToPath(new URL('../../support/file-coherence-worker.mjs', import.meta.url))

interface Tally {
  readonly done: number
  readonly hits: number
  readonly stale: number
  readonly failed: number
  readonly warned: number
}

/** Two processes write and two read, for a while. */
async function race(
  directory: string,
  ms: number,
  damaged: '' | 'damaged',
): Promise<readonly Tally[]> {
  const acks = join(directory, 'acks')
  writeFileSync(acks, new Uint8Array(8 * 8))
  const run = async (role: string, first: number, count: number): Promise<Tally> => {
    const args = [role, directory, acks, first, count, ms, damaged].map(String)
    const child = fork(WORKER, args, { stdio: 'inherit' })
    const [[tally]] = await Promise.all([once(child, 'message'), once(child, 'exit')])
    return tally as Tally
  }
  return Promise.all([run('write', 0, 4), run('write', 4, 4), run('read', 0, 8), run('read', 0, 8)])
}

test('no process reads anything older than what another was told is written', async (context) => {
  const { directory } = new FileStand(context)
  const [writer, other, ...readers] = await race(directory, 3000, '')
  console.log('coherence', writer, other, ...readers)
  for (const { done, hits, stale, warned } of readers) {
    expect(stale).toBe(0)
    expect(warned).toBe(0)
    expect(done).toBeGreaterThan(1000)
    expect(hits).toBeGreaterThan(0)
  }
  expect((writer?.done ?? 0) + (other?.done ?? 0)).toBeGreaterThan(300)
})

test('nor while the files are damaged again and again under them', async (context) => {
  const { directory } = new FileStand(context)
  const done = race(directory, 3000, 'damaged')
  const database = join(directory, 'cache.db')
  const end = Date.now() + 2700
  for (let i = 0; Date.now() < end; i++) {
    await delay(200)
    const path = database + (i % 2 === 0 ? '' : '-wal')
    if (!existsSync(path)) continue
    const file = openSync(path, 'r+')
    writeSync(file, randomBytes(fstatSync(file).size))
    closeSync(file)
  }
  const tallies = await done
  console.log('damaged', ...tallies)
  for (const { stale, done, failed } of tallies) {
    expect(stale).toBe(0)
    // Damage in the midst of a repair may fail an operation, but not many.
    expect(failed).toBeLessThan(Math.max(10, done / 100))
  }
  expect(tallies.reduce((sum, { warned }) => sum + warned, 0)).toBeGreaterThan(1)
})

test('what one process was told is done, another sees at once', async (context) => {
  const stand = new FileStand(context)
  const [a, b] = [stand.peer(), stand.peer()]
  for (let i = 0; i < 300; i++) {
    await a.put('k', `a${i}`)
    expect((await b.read('k')).payload).toBe(`a${i}`)
    const { token, existed } = await b.invalidate('k')
    expect(existed).toBe(true)
    expect(await a.read('k')).toMatchObject({ state: 'tombstone', token })
    await b.put('k', `b${i}`)
    expect((await a.read('k')).payload).toBe(`b${i}`)

    expect(await b.call('ledger', 'owes', 'on', 'k')).toBe(false)
    await a.call('ledger', 'owe', 'on', 'k', 0)
    expect(await b.call('ledger', 'owes', 'on', 'k')).toBe(true)
    const [owed] = (await b.call('ledger', 'list', 'on', 1)) as unknown[]
    expect(await b.call('ledger', 'settle', owed)).toBe(true)
    expect(await a.call('ledger', 'owes', 'on', 'k')).toBe(false)
  }
  await a.call('cache', 'clear')
  expect((await b.read('k')).state).toBe('tombstone')
  await b.call('ledger', 'fence', 'on', 1234)
  expect(await a.call('ledger', 'fencedBefore', 'on')).toBe(1234)
})
