import { expect, test } from 'vitest'
import { AskingPace } from '../../src/rollout/confirm/asking-pace.ts'

/** The first pauses of a process that answers within 2 ms. */
function pauses(pace: AskingPace, first: boolean): number[] {
  const all: number[] = []
  for (let i = 0; i < 8; i++) all.push(pace.next(all.at(-1) ?? 0, 2, first))
  return all
}

test('a fleet that waits for its flags is asked 200 times a second, whatever its size; one is asked often', () => {
  for (const size of [4, 20, 100]) {
    expect(pauses(new AskingPace(size), false)[0]).toBe((size * 1000) / 200)
  }
  expect(pauses(new AskingPace(20), true)).toEqual([10, 15, 22.5, 25, 25, 25, 25, 25])
  expect(pauses(new AskingPace(1000), false).at(-1)).toBe(500)
})

test('who answers slowly is asked as slowly', () => {
  expect(new AskingPace(2).next(10, 300, true)).toBe(300)
  expect(new AskingPace(2).next(10, 3000, false)).toBe(500)
})

test('once one has the change the others are asked at once, and then often', async () => {
  const pace = new AskingPace(20)
  const resting = [pace.rest(3_600_000), pace.rest(3_600_000)]
  pace.arrived()
  expect(await Promise.all(resting)).toEqual([true, true])
  expect(pauses(pace, false).slice(0, 4)).toEqual([10, 15, 22.5, 33.75])
  // The next one that has it wakes nobody: each would be asked as often as there are others.
  const next = pace.rest(0)
  pace.arrived()
  expect(await next).toBe(false)
})
