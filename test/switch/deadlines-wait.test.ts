import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { Deadlines, LONGEST_TIMER_MS } from '../../src/switch/sides/deadlines.ts'
import { deferred } from '../support/deferred.ts'

const never = new Promise<string>(() => {})

test('who is not answered in time is told so; the others have their answers', async () => {
  const deadlines = new Deadlines(20, 'find on new')
  const slow = deferred<string>()
  const all = [Promise.resolve('a'), never, slow.promise, Promise.reject(new Error('broken'))]
  const held = Promise.allSettled(all.map((one) => deadlines.hold(one)))
  slow.resolve('b')
  const late = { code: 'SB_DEADLINE', message: 'find on new did not answer within 20 ms' }
  expect(await held).toMatchObject([
    { value: 'a' },
    { reason: late },
    { value: 'b' },
    { reason: { message: 'broken' } },
  ])
  // Nobody waited in between, and the timer works again.
  await expect(deadlines.hold(never)).rejects.toMatchObject(late)
  deadlines.close()
})

test('only the first end counts: an answer after the deadline is nobody’s', async () => {
  const deadlines = new Deadlines(5, 'find on new')
  const ends: unknown[] = []
  const late = deferred<string>()
  const end = (what: unknown): void => void ends.push(what)
  await deadlines.wait(late.promise, performance.now(), end, end)
  late.resolve('too late')
  await sleep(1)
  expect(ends).toMatchObject([{ code: 'SB_DEADLINE' }])
  deadlines.close()
})

test('what is made of an answer may fail, too', async () => {
  const deadlines = new Deadlines(1000, 'find on new')
  const broken = (): never => {
    throw new Error('broken')
  }
  const waited = deadlines.wait(Promise.resolve(1), performance.now(), broken, String)
  await expect(waited).rejects.toThrow('broken')
  deadlines.close()
})

test.each([Number.POSITIVE_INFINITY, 2 ** 40])(
  'a deadline of %d ms, beyond a timer, does not fire again and again',
  (ms) => {
    const set = vi.spyOn(globalThis, 'setTimeout')
    const deadlines = new Deadlines(ms, 'find on new')
    void deadlines.hold(never)
    expect(set.mock.calls.map(([, after]) => after)).toEqual([LONGEST_TIMER_MS])
    deadlines.close()
    set.mockRestore()
  },
)
