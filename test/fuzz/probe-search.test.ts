import { expect, test } from 'vitest'
import {
  compareServed,
  type FlagsDocument,
  preview,
  readFlags,
  setShare,
} from '../../src/rollout/index.ts'
import { probesForEdit } from '../../src/rollout/probes.ts'
import { longestPause } from './stall.ts'

const flag = 'use-redis'

/** A split that no made-up user reaches, behind a condition that costs much or little. */
function flags(conditions: number): FlagsDocument {
  const costly = Array.from({ length: conditions }, () => ({ '!': { var: 'plan' } }))
  const split = {
    fractional: [
      ['on', 50],
      ['off', 50],
    ],
  }
  const targeting = { if: [{ and: [...costly, { '==': [{ var: 'plan' }, 'x'] }] }, split, 'off'] }
  const variants = { on: true, off: false }
  const definition = { state: 'ENABLED', variants, defaultVariant: 'off', targeting }
  return readFlags(JSON.stringify({ flags: { [flag]: definition } }))
}

/** Twice what is aimed at: without the pauses it would be 300 and more. */
const MOST_MS = 100

test('the search for users beside a boundary that nobody reaches lets others work, and ends', async () => {
  const document = flags(20)
  const compare = (): Promise<unknown> =>
    compareServed(document, { flag, url: 'http://127.0.0.1:1' })
  expect(await longestPause(compare)).toBeLessThan(MOST_MS)
  const edit = setShare(document, { flag, percent: 60 })
  const search = (): Promise<unknown> => probesForEdit(edit, { count: 10, patienceMs: 200 })
  expect(await longestPause(search)).toBeLessThan(MOST_MS)
})

test('a preview lets others work, whatever one user costs', async () => {
  const before = flags(1_000)
  const { after } = setShare(before, { flag, percent: 60 })
  const look = (users: number): Promise<unknown> => preview({ flag, before, after, users })
  // The rule is compiled, and compiled code warm: what one user costs is to be seen.
  await look(50)
  expect(await longestPause(() => look(1_000))).toBeLessThan(MOST_MS)
})
