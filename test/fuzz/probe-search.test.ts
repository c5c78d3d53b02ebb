import { monitorEventLoopDelay } from 'node:perf_hooks'
import { expect, test } from 'vitest'
import { compareServed, preview, readFlags, setShare } from '../../src/rollout/index.ts'
import { probesForEdit } from '../../src/rollout/probes.ts'

const flag = 'use-redis'

/** A split that no made-up user reaches, and a rule that takes long for each. */
function flags(conditions: number): ReturnType<typeof readFlags> {
  const never = { and: Array.from({ length: conditions }, () => ({ '!': { var: 'plan' } })) }
  const split = {
    fractional: [
      ['on', 50],
      ['off', 50],
    ],
  }
  const targeting = { if: [{ and: [never, { '==': [{ var: 'plan' }, 'x'] }] }, split, 'off'] }
  const variants = { on: true, off: false }
  const definition = { state: 'ENABLED', variants, defaultVariant: 'off', targeting }
  return readFlags(JSON.stringify({ flags: { [flag]: definition } }))
}

/** In milliseconds, the period of the clock that it is measured with included. */
const longestDelay = async (work: () => Promise<unknown>): Promise<number> => {
  // Of three, as the machine has other things to do.
  let shortest = Infinity
  for (let attempt = 0; attempt < 3 && shortest > 60; attempt++) {
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    await work()
    delay.disable()
    shortest = Math.min(shortest, delay.max / 1e6)
  }
  return shortest
}

test('whoever looks for users beside a boundary that nobody reaches lets others work, and gives up', async () => {
  const document = flags(500)
  const url = 'http://127.0.0.1:1'
  const started = performance.now()
  expect(await longestDelay(() => compareServed(document, { flag, url }))).toBeLessThan(60)
  const edit = setShare(document, { flag, percent: 60 })
  const search = { count: 10, patienceMs: 200 }
  expect(await longestDelay(() => probesForEdit(edit, search))).toBeLessThan(60)
  expect(performance.now() - started).toBeLessThan(10_000)
})

test('a preview lets others work, whatever one user costs', async () => {
  const before = flags(2_000)
  const { after } = setShare(before, { flag, percent: 60 })
  expect(await longestDelay(() => preview({ flag, before, after, users: 800 }))).toBeLessThan(60)
})
