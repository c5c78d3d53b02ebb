import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ServerClock } from '../../../src/cache/redis/servers/server-state.ts'

/** One exchange: how long after the last, its way there, its way back, and a step of the server's clock. */
const exchanges = fc.array(
  fc.record({
    pause: fc.double({ min: 0, max: 10_000, noNaN: true }),
    there: fc.double({ min: 0, max: 500, noNaN: true }),
    back: fc.double({ min: 0, max: 500, noNaN: true }),
    step: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: -5000, max: 5000 })),
  }),
  { minLength: 1 },
)

describe("the estimate of the server's clock", () => {
  test('is after each reply never ahead of a server not set back, and never off by more than a round trip', () => {
    fc.assert(
      fc.property(exchanges, fc.integer({ min: 1, max: 2e12 }), (list, start) => {
        const clock = new ServerClock()
        let local = 0
        let offset = start
        let setBack = false
        for (const { pause, there, back, step } of list) {
          offset += step
          const sentAt = local + pause
          const served = sentAt + there
          const receivedAt = served + back
          clock.learn(Math.floor(served + offset), sentAt, receivedAt)
          // now() is offset + performance.now(): take the difference out.
          // Between the two, and a busy machine may stand still in between.
          const before = performance.now()
          const told = clock.now()
          const after = performance.now()
          setBack ||= step < 0
          expect(told - after).toBeLessThanOrEqual(offset + (setBack ? there + back + 1.1 : 0.1))
          expect(told - before).toBeGreaterThanOrEqual(offset - there - back - 1.1)
          local = receivedAt
        }
      }),
    )
  })

  test('keeps the best of what it saw while the clock stands', () => {
    const clock = new ServerClock()
    clock.learn(1_000_000, 0, 400)
    clock.learn(1_001_000, 1000, 1001)
    clock.learn(1_002_000, 1700, 2300)
    expect(clock.now() - performance.now()).toBeCloseTo(999_999, 0)
  })

  test('says by how much at least a clock was set ahead, and never that of one that was not', () => {
    const honest = exchanges.map((list) =>
      list.map((one) => ({ ...one, step: Math.min(one.step, 0) })),
    )
    fc.assert(
      fc.property(honest, fc.integer({ min: 1000, max: 4e6 }), (list, ahead) => {
        const clock = new ServerClock()
        let [local, offset] = [0, 1_000_000]
        const exchange = ({ pause, there, back, step }: (typeof list)[number]): number => {
          offset += step
          const sentAt = local + pause
          local = sentAt + there + back
          return clock.learn(Math.floor(sentAt + there + offset), sentAt, local)
        }
        for (const one of list) expect(exchange(one)).toBeLessThanOrEqual(0)
        const { there, back } = list.at(-1)!
        const told = exchange({ pause: 10, there: 1, back: 1, step: ahead })
        expect(told).toBeLessThanOrEqual(ahead)
        // What the last reply left open, what one round trip hides, and a drift that is allowed for.
        expect(told).toBeGreaterThanOrEqual(ahead - there - back - 5)
      }),
    )
  })

  test('is the local clock until something is known', () => {
    const clock = new ServerClock()
    expect(clock.known).toBe(false)
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1000)
  })
})
