import { spawnSync } from 'node:child_process'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { describe, expect, type TestContext, test, vi } from 'vitest'
import { type FileCache, fileCache, NEVER } from '../../../src/cache/index.ts'
import { ControlFile } from '../../../src/cache/file/ledger/control-file.ts'
import { FileStand } from '../../support/file-peers.ts'

const OWED = Number.POSITIVE_INFINITY

/** Another process, which begins and ends within this one's turn of the event loop. */
function elsewhere(directory: string, body: string): void {
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { fileCache } from './dist/index.mjs'
       const cache = fileCache({ directory: ${JSON.stringify(directory)} })
       await cache.${body}`,
    ],
    { encoding: 'utf8' },
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
}

/** A cache whose ledger was looked into in this very turn, which no event has ended yet. */
async function looked(context: TestContext): Promise<{ stand: FileStand; cache: FileCache }> {
  const stand = new FileStand(context)
  const { cache } = stand.local()
  await cache.write('k', { payload: 'v', expiresAt: NEVER }, { expect: '', within: 10_000 })
  await setImmediate()
  expect(cache.ledger.trustedFrom('on', 'k')).toBe(0)
  return { stand, cache }
}

test('the operations of one turn share a look, with their microtasks, 64 at the most', async (context) => {
  const { ledger } = (await looked(context)).cache
  await setImmediate()
  const reads = vi.spyOn(ControlFile.prototype, 'read')
  context.onTestFinished(() => reads.mockRestore())
  for (let i = 0; i < 10; i++) {
    ledger.trustedFrom('on', `k${i}`)
    await Promise.resolve()
  }
  expect(reads).toHaveBeenCalledTimes(1)
  await setImmediate()
  ledger.trustedFrom('on', 'k')
  expect(reads).toHaveBeenCalledTimes(2)
  for (let i = 0; i < 64; i++) ledger.trustedFrom('on', 'k')
  expect(reads).toHaveBeenCalledTimes(2)
  ledger.trustedFrom('on', 'k')
  expect(reads).toHaveBeenCalledTimes(3)
})

describe('what another process did is known', () => {
  test.for([
    ['a debt, from the next immediate on', "ledger.owe('on', 'k', 0)", OWED, () => setImmediate()],
    ['a fence, from the next immediate on', "ledger.fence('on', 9)", 9, () => setImmediate()],
    ['a debt, from the next timer on', "ledger.owe('on', 'k', 0)", OWED, () => delay(1)],
    ['a debt, from the next tick on', "ledger.owe('on', 'k', 0)", OWED, nextTick],
  ] as const)('%s', async ([, body, after, next], context) => {
    const { stand, cache } = await looked(context)
    elsewhere(stand.directory, body)
    await next()
    expect(cache.ledger.trustedFrom('on', 'k')).toBe(after)
  })

  test('from the message on that tells of it, to whoever looks in every turn before', async (context) => {
    const { stand, cache } = await looked(context)
    const other = stand.peer()
    const stop = new AbortController()
    let looks = 0
    const looking = (async () => {
      for (; !stop.signal.aborted; looks++) {
        cache.ledger.trustedFrom('on', 'k')
        await setImmediate()
      }
    })()
    try {
      for (let i = 0; i < 100; i++) {
        await other.call('ledger', 'owe', 'on', 'k', 0)
        expect(cache.ledger.trustedFrom('on', 'k')).toBe(OWED)
        const [owed] = (await other.call('ledger', 'list', 'on', 1)) as unknown[]
        expect(await other.call('ledger', 'settle', owed)).toBe(true)
        await other.call('ledger', 'fence', 'on', i + 1)
        expect(cache.ledger.trustedFrom('on', 'k')).toBe(i + 1)
      }
    } finally {
      stop.abort()
    }
    await looking
    expect(looks).toBeGreaterThan(100)
  })

  test('within 64 looks, by a chain of microtasks that lets no event in', async (context) => {
    const { stand, cache } = await looked(context)
    elsewhere(stand.directory, "ledger.owe('on', 'k', 0)")
    let looks = 0
    while (cache.ledger.trustedFrom('on', 'k') === 0 && looks < 1000) {
      looks += 1
      await Promise.resolve()
    }
    expect(looks).toBeLessThanOrEqual(64)
  })

  test('at once, in what is no look: the cell, the count, the fence for a repayment', async (context) => {
    const { stand, cache } = await looked(context)
    elsewhere(
      stand.directory,
      `invalidate('k', { within: 10_000 })
       await cache.ledger.owe('on', 'k', 0)
       await cache.ledger.fence('on', 9)`,
    )
    // First: what follows reads the same header.
    expect(cache.ledger.fencedBefore('on')).toBe(9)
    expect(cache.read('k')).toMatchObject({ state: 'tombstone' })
    expect(cache.ledger.count('on')).toBe(1)
  })
})

test('what this process does by another copy of the library is known at once', async (context) => {
  // A bundle beside the package, or two versions of it.
  vi.resetModules()
  const copy = await import('../../../src/cache/index.ts')
  const { stand, cache } = await looked(context)
  expect(copy.fileCache).not.toBe(fileCache)
  const other = copy.fileCache({ directory: stand.directory })
  context.onTestFinished(() => other.close())
  for (let i = 0; i < 3; i++) {
    await setImmediate()
    expect(cache.ledger.trustedFrom('on', 'k')).toBe(0)
    expect(other.ledger.owe('on', 'k', 0)).toBeUndefined()
    expect(cache.ledger.trustedFrom('on', 'k')).toBe(OWED)
    const [owed] = other.ledger.list('on', 1)
    await other.ledger.settle(owed!)
  }
})

test('what this process does is known at once, through whichever cache', async (context) => {
  const { stand, cache } = await looked(context)
  const one = cache.ledger
  const other = stand.local().cache.ledger
  for (let i = 0; i < 3; i++) {
    expect(one.trustedFrom('on', 'k')).toBe(0)
    expect(other.owe('on', 'k', 0)).toBeUndefined()
    expect(one.trustedFrom('on', 'k')).toBe(OWED)
    expect(one.trustedFrom('on', 'other')).toBe(0)
    const [owed] = other.list('on', 1)
    void other.settle(owed!)
    expect(one.trustedFrom('on', 'k')).toBe(0)
  }
  void other.fence('on', 1234)
  expect(one.trustedFrom('on', 'k')).toBe(1234)
  expect(other.replaceFence('on', 1234, 2000)).toBe(true)
  expect(one.trustedFrom('on', 'k')).toBe(2000)
})

function nextTick(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}
