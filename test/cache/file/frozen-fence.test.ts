import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, type TestContext, vi } from 'vitest'
import { FENCE_UNKNOWN } from '../../../src/cache/backend.ts'
import { openSqlite } from '../../../src/cache/file/sqlite/sqlite.ts'
import { ANY, NEVER } from '../../../src/cache/index.ts'
import type { Side } from '../../../src/side.ts'
import { type FilePeer, FileStand } from '../../support/file-peers.ts'

const fenceOf = async (peer: FilePeer, side: Side): Promise<number> =>
  (await peer.call('ledger', 'fencedBefore', side)) as number

/** A store that two processes have open: this one, and one that can be stopped amid its file operations. */
async function stageOf(context: TestContext) {
  const stand = new FileStand(context)
  const { directory } = stand
  const stopped = stand.process()
  const here = stand.local()
  await stand.peer({}, stopped).put('k', '1')
  await here.read('k')
  /** Resolves when the other process has been stopped in that call, at the place `stop` counts. */
  const stopIn = async (target: string, method: string, args: unknown[], stop: number) => {
    const ended = stopped.call({ options: { directory }, target, method, args, stop })
    await stopped.stopped()
    return { ended }
  }
  return { stand, directory, stopped, here, stopIn }
}

test('a fence stands beside a process that was stopped amid another, and nobody takes it back', async (context) => {
  const { stand, stopped, here, stopIn } = await stageOf(context)

  // It has compared, and not written yet.
  const { ended: raised } = await stopIn('ledger', 'fence', ['off', 1000], 1)
  await here.call('ledger', 'fence', 'off', 5000)
  expect(await fenceOf(here, 'off')).toBeGreaterThanOrEqual(5000)

  // Nobody can open the store meanwhile.
  const late = stand.local({ busyTimeout: 10 })
  await expect(late.read('k')).rejects.toMatchObject({ code: 'SB_FILE_STORE_BUSY' })
  await late.call('ledger', 'fence', 'on', 7000)
  expect(await fenceOf(here, 'on')).toBeGreaterThanOrEqual(7000)

  stopped.child.kill('SIGCONT')
  await raised
  expect(await fenceOf(here, 'off')).toBeGreaterThanOrEqual(5000)
  expect(await fenceOf(here, 'on')).toBeGreaterThanOrEqual(7000)
  for (const side of ['off', 'on'] as const) {
    const unknown = await fenceOf(here, side)
    expect(await late.call('ledger', 'replaceFence', side, unknown, 8000)).toBe(true)
    expect(await fenceOf(here, side)).toBe(8000)
  }
})

test('a process that was stopped amid lowering a fence does not lower the one that came meanwhile', async (context) => {
  const { stopped, here, stopIn } = await stageOf(context)
  const fencing = async (stop: number, before: number): Promise<number> => {
    const from = await fenceOf(here, 'off')
    const { ended: replaced } = await stopIn('ledger', 'replaceFence', ['off', from, before], stop)
    // A distrust is not lifted before the fence in its place stands.
    if (from >= FENCE_UNKNOWN) expect(await fenceOf(here, 'off')).toBeGreaterThanOrEqual(before)
    await here.call('ledger', 'fence', 'off', 5000)
    stopped.child.kill('SIGCONT')
    expect(await replaced).toBe(true)
    return fenceOf(here, 'off')
  }
  // Amid lowering a plain fence.
  expect(await fencing(1, 1000)).toBeGreaterThanOrEqual(5000)
  // Amid lifting a distrust: before the fence in its place, and before that counts.
  expect(await fencing(1, 2000)).toBeGreaterThanOrEqual(5000)
  expect(await fencing(2, 3000)).toBeGreaterThanOrEqual(5000)
})

for (const lock of ['free', 'taken']) {
  test(`a fence is not lost with files that are deleted while its process is stopped, the lock ${lock}`, async (context) => {
    const { directory, stopped, here, stopIn } = await stageOf(context)
    const taken = openSqlite(join(directory, 'cache.lock'))
    if (lock === 'taken') taken.exec('BEGIN EXCLUSIVE')
    const { ended: raised } = await stopIn('ledger', 'fence', ['off', 5000], 1)
    rmSync(directory, { recursive: true })
    // Another store is made, and trusted from a time on.
    await vi.waitUntil(async () => (await here.read('k')).state !== 'value')
    const unknown = await fenceOf(here, 'off')
    expect(await here.call('ledger', 'replaceFence', 'off', unknown, 1000)).toBe(true)

    stopped.child.kill('SIGCONT')
    await raised
    expect(await fenceOf(here, 'off')).toBeGreaterThanOrEqual(5000)
    taken.close()
  })
}

test('what is committed into a database that was deleted meanwhile is done again before it is acknowledged', async (context) => {
  const { directory, stopped, here, stopIn } = await stageOf(context)
  const { ended: written } = await stopIn(
    'cache',
    'write',
    ['k', { payload: '2', expiresAt: NEVER }, { expect: ANY, within: 60_000 }],
    1,
  )
  for (const part of ['', '-wal', '-shm']) rmSync(join(directory, `cache.db${part}`))
  await vi.waitUntil(async () => (await here.read('k')).state !== 'value')
  stopped.child.kill('SIGCONT')
  expect(await written).toMatchObject({ written: true })
  expect((await here.read('k')).payload).toBe('2')
})
