import { spawnSync } from 'node:child_process'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { FileStand } from '../../support/file-peers.ts'

const OWED = Number.POSITIVE_INFINITY

/** Another process, which ends before this one's turn of the event loop does. */
function elsewhere(directory: string, statement: string): void {
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { fileCache } from './dist/cache/index.js'
       const { ledger } = fileCache({ directory: ${JSON.stringify(directory)} })
       await ledger.${statement}`,
    ],
    { encoding: 'utf8' },
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
}

test.for([
  ['a debt', "owe('on', 'k', 0)", OWED],
  ['a fence', "fence('on', 1234)", 1234],
] as const)(
  '%s of another process is known from the next turn on',
  async ([, act, after], context) => {
    const stand = new FileStand(context)
    const { ledger } = stand.local().cache
    expect(ledger.trustedFrom('on', 'k')).toBe(0)
    elsewhere(stand.directory, act)
    await setImmediate()
    expect(ledger.trustedFrom('on', 'k')).toBe(after)
  },
)

test('a turn that does not end learns of it all the same', async (context) => {
  const stand = new FileStand(context)
  const { ledger } = stand.local().cache
  expect(ledger.trustedFrom('on', 'k')).toBe(0)
  elsewhere(stand.directory, "owe('on', 'k', 0)")
  let uses = 0
  while (ledger.trustedFrom('on', 'k') === 0 && uses < 1000) {
    uses += 1
    // Only microtasks: no event, no tick.
    await Promise.resolve()
  }
  expect(uses).toBeLessThanOrEqual(64)
})

test('what this process came to owe is known at once, through whichever cache', async (context) => {
  const stand = new FileStand(context)
  const one = stand.local().cache.ledger
  const other = stand.local().cache.ledger
  for (let i = 0; i < 3; i++) {
    expect(one.trustedFrom('on', 'k')).toBe(0)
    const owing = other.owe('on', 'k', 0)
    expect(owing).toBeUndefined()
    expect(one.trustedFrom('on', 'k')).toBe(OWED)
    expect(one.trustedFrom('on', 'other')).toBe(0)
    const [owed] = other.list('on', 1)
    expect(other.settle(owed!)).toBe(true)
    expect(one.trustedFrom('on', 'k')).toBe(0)
  }
  void other.fence('on', 1234)
  expect(one.trustedFrom('on', 'k')).toBe(1234)
})
