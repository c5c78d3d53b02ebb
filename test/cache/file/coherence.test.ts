import { fork } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { FileStand } from '../../support/file-peers.ts'

const WORKER = fileURLToPath(new URL('../../support/file-coherence-worker.mjs', import.meta.url))

interface Tally {
  readonly done: number
  readonly hits: number
  readonly stale: number
}

test(
  'no process reads anything older than what another was told is written',
  { timeout: 60_000 },
  async (context) => {
    const { directory } = new FileStand(context)
    const acks = join(directory, 'acks')
    writeFileSync(acks, new Uint8Array(8 * 8))
    const run = async (role: string, first: number, count: number): Promise<Tally> => {
      const args = [role, join(directory, 'cache'), acks, `${first}`, `${count}`, '5000']
      const child = fork(WORKER, args, { stdio: 'inherit' })
      const [[tally]] = await Promise.all([once(child, 'message'), once(child, 'exit')])
      return tally as Tally
    }
    const [writer, other, ...readers] = await Promise.all([
      run('write', 0, 4),
      run('write', 4, 4),
      run('read', 0, 8),
      run('read', 0, 8),
    ])
    console.log('coherence', writer, other, readers)
    for (const { done, hits, stale } of readers) {
      expect(stale).toBe(0)
      expect(done).toBeGreaterThan(10_000)
      expect(hits).toBeGreaterThan(0)
    }
    expect(writer.done + other.done).toBeGreaterThan(500)
  },
)

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
