/** What the parts of this section share: users whose side is their key, and ratios within a round. */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { createCacheSwitch } from '../../dist/index.mjs'
import { median } from '../measure.mjs'

/** A decision costs nothing here; the section `decision` measures it. */
export const decider = {
  decide: ({ targetingKey: side }) => ({
    side,
    variant: side,
    reason: 'SPLIT',
    errorCode: '',
    source: 'live',
  }),
  targetingKeyOf: (context) => context?.targetingKey,
  health: () => ({ ok: true, status: 'READY', since: 0, detail: '' }),
  close: async () => {},
}

/** A busy machine is no outage. */
const DEADLINE_MS = 5000

export const switchOf = (off, on, options = {}) =>
  createCacheSwitch({ flag: 'use-redis', decider, off, on, deadlineMs: DEADLINE_MS, ...options })

export const ON = { targetingKey: 'on' }
export const OFF = { targetingKey: 'off' }

/** Begins so many operations a second for so long, whatever each takes; resolves to how many, when all have ended. */
export async function paced(run, perSecond, ms) {
  const began = performance.now()
  const all = []
  for (let passed = 0; passed < ms; passed = performance.now() - began) {
    while (all.length < (passed * perSecond) / 1000) {
      all.push(Promise.resolve(run(all.length)).catch(() => undefined))
    }
    await delay(2)
  }
  await Promise.all(all)
  return all.length
}

/** Before each round: what a neighbour left behind (a stalled event loop is an outage) is no part of it. */
export async function isWell(cache) {
  for (;;) {
    const { ok, off, on } = cache.health()
    if (ok && off.owed + on.owed === 0) return
    await delay(20)
  }
}

/** Answers that come at once never let the event loop turn, on which everybody else waits. */
export const turning = (run) => (i) => (i % 64 === 0 ? nextTurn().then(() => run(i)) : run(i))

/** How many times as dear `one` is, by CPU an operation: the median over the rounds. */
export const times = (one, reference) =>
  median(one.cpuSamples.map((cpuUs, round) => cpuUs / reference.cpuSamples[round]))

/** `12.3 (1.4 x)` */
export const beside = (us, factor) =>
  `${us.toFixed(us < 10 ? 2 : us < 100 ? 1 : 0)} (${factor.toFixed(factor < 10 ? 2 : 0)} x)`

export const number = (value) => Math.round(value).toLocaleString('en')
