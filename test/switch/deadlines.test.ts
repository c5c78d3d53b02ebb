import { describe, expect, test } from 'vitest'
import { Deadlines } from '../../src/switch/sides/deadlines.ts'
import { deferred } from '../support/deferred.ts'

function held(ms: number): { deadlines: Deadlines; outcomes: string[] } {
  const outcomes: string[] = []
  const deadlines = new Deadlines(ms, 'the side', {
    succeeded: () => outcomes.push('ok'),
    failed: (error) => outcomes.push((error as Error).message),
  })
  return { deadlines, outcomes }
}

function block(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

describe('deadlines', () => {
  test('pass results and errors through, and tell each outcome once', async () => {
    const { deadlines, outcomes } = held(1000)
    expect(await deadlines.hold(Promise.resolve(7))).toBe(7)
    await expect(deadlines.hold(Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    expect(outcomes).toEqual(['ok', 'broken'])
    deadlines.close()
  })

  test('end what does not answer, each by its own deadline, and ignore what comes later', async () => {
    const { deadlines, outcomes } = held(30)
    const late = deferred<number>()
    const first = deadlines.hold(late.promise)
    const answered = deferred<number>()
    const second = deadlines.hold(answered.promise)
    answered.resolve(2)
    await expect(first).rejects.toMatchObject({ code: 'SB_DEADLINE' })
    expect(await second).toBe(2)
    late.resolve(1)
    await late.promise
    expect(outcomes).toHaveLength(2)
    await expect(deadlines.hold(new Promise(() => {}))).rejects.toMatchObject({
      code: 'SB_DEADLINE',
    })
  })

  test('many at once with one timer, in any order of answers', async () => {
    const { deadlines } = held(60)
    const pending = Array.from({ length: 500 }, () => deferred<number>())
    const results = Promise.allSettled(pending.map(({ promise }) => deadlines.hold(promise)))
    for (const [i, one] of pending.entries()) if (i % 3 === 0) one.resolve(i)
    const settled = await results
    expect(settled.map(({ status }) => status)).toEqual(
      pending.map((_, i) => (i % 3 === 0 ? 'fulfilled' : 'rejected')),
    )
  })

  test('a stall of our own event loop is not taken for a slow side', async () => {
    const { deadlines } = held(20)
    // The answer is ready to be read before the stall ends, as a reply in the socket would be.
    const answer = new Promise<string>((resolve) => setTimeout(() => resolve('in time'), 5))
    const result = deadlines.hold(answer)
    block(80)
    expect(await result).toBe('in time')
  })
})
