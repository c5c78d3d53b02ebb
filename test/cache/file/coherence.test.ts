import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fstatSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test, vi } from 'vitest'
import { FileStand } from '../../support/file-peers.ts'
import { inFull } from '../../support/full.ts'

const WORKER = fileURLToPath(new URL('../../support/file-coherence-worker.mjs', import.meta.url))

// It ends by what was done, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 120_000 })

interface Tally {
  readonly done: number
  readonly hits: number
  readonly stale: number
  readonly failed: number
  readonly warned: number
  readonly ended?: boolean
}

/** Two processes write and two read, until they have done enough. */
async function race(
  directory: string,
  damaged: '' | 'damaged',
  enough: (tallies: readonly Tally[]) => boolean,
): Promise<readonly Tally[]> {
  const acks = join(directory, 'acks')
  writeFileSync(acks, new Uint8Array(8 * 8))
  const none: Tally = { done: 0, hits: 0, stale: 0, failed: 0, warned: 0, ended: false }
  const tallies: Tally[] = [none, none, none, none]
  const children: ChildProcess[] = []
  let over = false
  const run = async (role: string, first: number, count: number): Promise<void> => {
    const args = [role, directory, acks, first, count, damaged].map(String)
    const child = fork(WORKER, args, { stdio: 'inherit' })
    const me = children.push(child) - 1
    child.on('message', (tally: Tally) => {
      tallies[me] = tally
      if (over || !enough(tallies)) return
      over = true
      for (const each of children) each.send('end')
    })
    await once(child, 'exit')
    expect(tallies[me]).toMatchObject({ ended: true })
  }
  await Promise.all([run('write', 0, 4), run('write', 4, 4), run('read', 0, 8), run('read', 0, 8)])
  return tallies
}

test('no process reads anything older than what another was told is written', async (context) => {
  const { directory } = new FileStand(context)
  const [writer, other, ...readers] = await race(
    directory,
    '',
    ([w1, w2, ...rest]) =>
      w1!.done + w2!.done > 1000 && rest.every(({ done, hits }) => done > 2000 && hits > 0),
  )
  console.log('coherence', writer, other, ...readers)
  for (const { stale, warned } of readers) {
    expect(stale).toBe(0)
    expect(warned).toBe(0)
  }
})

test('nor while the files are damaged again and again under them', async (context) => {
  const { directory } = new FileStand(context)
  const database = join(directory, 'cache.db')
  let [damages, doneThen] = [0, 0]
  const tallies = await race(directory, 'damaged', (now) => {
    const done = now.reduce((sum, each) => sum + each.done, 0)
    // Each damage comes after work that the last one did not keep from being done.
    if (now.every((each) => each.done > 0) && done > doneThen + 300) {
      const path = database + (damages % 2 === 0 ? '' : '-wal')
      doneThen = done
      if (existsSync(path)) {
        const file = openSync(path, 'r+')
        writeSync(file, randomBytes(fstatSync(file).size))
        closeSync(file)
        damages++
      }
    }
    // Repairs are noticed when they are, however long that takes.
    const warned = now.reduce((sum, each) => sum + each.warned, 0)
    return damages >= inFull(6, 12) && done > doneThen + 200 && warned > 1
  })
  console.log('damaged', ...tallies)
  for (const { stale, done, failed } of tallies) {
    expect(stale).toBe(0)
    // Damage in the midst of a repair may fail an operation, but not many.
    expect(failed).toBeLessThan(Math.max(10, done / 100))
  }
})

test('what one process was told is done, another sees at once', async (context) => {
  const stand = new FileStand(context)
  const [a, b] = [stand.peer(), stand.peer()]
  for (let i = 0; i < inFull(80, 300); i++) {
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
