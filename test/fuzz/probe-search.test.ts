import { afterEach, expect, test, vi } from 'vitest'
import { type FlagsDocument, preview, readFlags, setShare } from '../../src/rollout/index.ts'
import { boundaryProbes, probesForEdit } from '../../src/rollout/users/probes.ts'

const flag = 'use-redis'

/** A split that no made-up user reaches. */
function flags(): FlagsDocument {
  const split = {
    fractional: [
      ['on', 50],
      ['off', 50],
    ],
  }
  const targeting = { if: [{ '==': [{ var: 'plan' }, 'x'] }, split, 'off'] }
  const variants = { on: true, off: false }
  const definition = { state: 'ENABLED', variants, defaultVariant: 'off', targeting }
  return readFlags(JSON.stringify({ flags: { [flag]: definition } }))
}

afterEach(() => {
  vi.restoreAllMocks()
})

/** Counts what is done between two turns of the event loop, while something is under way. */
async function mostInOneTurn(
  done: () => number,
  work: () => Promise<unknown>,
): Promise<{ most: number; turns: number }> {
  let most = 0
  let turns = 0
  let before = done()
  let over = false
  const turn = (): void => {
    const now = done()
    most = Math.max(most, now - before)
    before = now
    if (over) return
    turns++
    setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  over = true
  most = Math.max(most, done() - before)
  return { most, turns }
}

/**
 * The clock is in the test's hand: each look at it is so many milliseconds after the one before, as if
 * the work between two looks had taken that long. So no machine is too slow for this test.
 */
function clock(msPerLook: number): { readonly looks: number } {
  const seen = { looks: 0 }
  vi.spyOn(performance, 'now').mockImplementation(() => ++seen.looks * msPerLook)
  return seen
}

test('the search for users beside a boundary that nobody reaches lets others work, and ends', async () => {
  const document = flags()
  const edit = setShare(document, { flag, percent: 60 })
  const seen = clock(1)
  const looks = (): number => seen.looks
  // A user takes a millisecond here, and the thread is held for ten: with room for the looks between.
  const beside = await mostInOneTurn(looks, () => boundaryProbes(document, flag, 10))
  expect(beside.most).toBeLessThan(25)
  expect(beside.turns).toBeGreaterThan(30)
  const search = await mostInOneTurn(looks, () =>
    probesForEdit(edit, { count: 10, patienceMs: 200 }),
  )
  expect(search.most).toBeLessThan(25)
  expect(search.turns).toBeGreaterThan(30)
})

test('a preview lets others work, whatever one user costs', async () => {
  const before = flags()
  const { after } = setShare(before, { flag, percent: 60 })
  let users = 0
  function* everybody(): Generator<string> {
    for (; users < 1_000; users++) yield `user ${users}`
  }
  // One user takes 7 ms: after three of them the thread was held for 20.
  clock(7)
  const { most, turns } = await mostInOneTurn(
    () => users,
    () => preview({ flag, before, after, users: everybody() }),
  )
  expect(users).toBe(1_000)
  expect(most).toBeLessThan(8)
  expect(turns).toBeGreaterThan(125)
})
