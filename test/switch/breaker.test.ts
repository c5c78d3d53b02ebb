import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Breaker } from '../../src/switch/sides/breaker.ts'

function breaker(
  options: { window?: number; failures?: number; probe?: () => Promise<void> } = {},
): {
  breaker: Breaker
  changes: string[]
} {
  const changes: string[] = []
  const made = new Breaker({
    probe: () => Promise.resolve(),
    ...options,
    onOpen: () => changes.push('open'),
    onClose: () => changes.push('close'),
  })
  return { breaker: made, changes }
}

afterEach(() => {
  vi.useRealTimers()
})

describe('breaker', () => {
  test('opens exactly when enough of the latest operations failed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { maxLength: 60 }),
        fc.integer({ min: 1, max: 31 }),
        fc.integer({ min: 1, max: 31 }),
        (outcomes, window, failures) => {
          const { breaker: made } = breaker({ window, failures })
          const seen: boolean[] = []
          let expected = false
          for (const ok of outcomes) {
            seen.push(ok)
            if (ok) made.succeeded()
            else made.failed(new Error('late'))
            const failed = seen.slice(-window).filter((one) => !one).length
            expected ||= !ok && failed >= failures
            expect(made.open).toBe(expected)
          }
          made.close()
        },
      ),
    )
  })

  test('one spurious failure, or a fifth of them failing, does not open it', () => {
    const { breaker: made, changes } = breaker()
    for (let i = 0; i < 1000; i += 1) {
      if (i % 5 === 0) made.failed(new Error('late'))
      else made.succeeded()
    }
    expect(changes).toEqual([])
  })

  test('that opens again and again probes ever less often, until it stayed closed', async () => {
    vi.useFakeTimers()
    const { breaker: made, changes } = breaker()
    const closedWithin = async (ms: number): Promise<boolean> => {
      made.trip(new Error('late'))
      await vi.advanceTimersByTimeAsync(ms)
      return !made.open
    }
    expect(await closedWithin(313)).toBe(true)
    for (const least of [375, 750, 1500, 3000, 3750, 3750]) {
      expect(await closedWithin(least - 1)).toBe(false)
      await vi.advanceTimersByTimeAsync(least)
      expect(made.open).toBe(false)
    }
    await vi.advanceTimersByTimeAsync(5000)
    expect(await closedWithin(313)).toBe(true)
    expect(changes).toHaveLength(16)
    made.close()
  })

  test('probes until a probe succeeds, with one probe at a time, then closes with a clean slate', async () => {
    vi.useFakeTimers()
    let answer = false
    let probes = 0
    const { breaker: made, changes } = breaker({
      probe: async () => {
        probes += 1
        if (!answer) throw new Error('still out')
      },
    })
    for (let i = 0; i < 5; i += 1) made.failed(new Error('late'))
    expect(made.open).toBe(true)
    await vi.advanceTimersByTimeAsync(2000)
    expect(probes).toBeGreaterThan(3)
    expect(made.open).toBe(true)
    answer = true
    await vi.advanceTimersByTimeAsync(400)
    expect(changes).toEqual(['open', 'close'])
    for (let i = 0; i < 4; i += 1) made.failed(new Error('late'))
    expect(made.open).toBe(false)
  })

  test('a closed one never probes again', async () => {
    vi.useFakeTimers()
    let probes = 0
    const { breaker: made } = breaker({
      probe: async () => {
        probes += 1
        throw new Error('out')
      },
    })
    made.trip(new Error('late'))
    made.close()
    await vi.advanceTimersByTimeAsync(5000)
    expect(probes).toBe(0)
  })
})
