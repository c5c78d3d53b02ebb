import { expect, test } from 'vitest'
import { Groups } from '../../src/switch/copy/groups.ts'
import { deferred } from '../support/deferred.ts'

const nothing = (): void => undefined

test('the cursor stays before the first group that is under way, whatever has ended behind it', async () => {
  const groups = new Groups('start')
  const [first, second] = [deferred<void>(), deferred<void>()]
  const seen: string[] = []
  const see = (): void => void seen.push(groups.cursor)
  groups.open('behind 1')
  groups.begin(2, () => first.promise, see)
  groups.open('behind 2')
  groups.begin(2, () => second.promise, see)
  groups.open('behind 3')
  second.resolve(undefined)
  await groups.room(2, () => 4)
  expect(seen).toEqual(['start'])
  first.resolve(undefined)
  await groups.rest()
  expect(seen).toEqual(['start', 'behind 2'])
  // The third page may have something, until it is said that it has not.
  groups.close()
  expect(groups.cursor).toBe('behind 3')
})

test('there are never more keys under way than may be, but for one group larger than that', async () => {
  const groups = new Groups('')
  const one = deferred<void>()
  groups.open('end')
  await groups.room(9, () => 4)
  groups.begin(9, () => one.promise, nothing)
  let hasRoom = false
  const waiting = groups.room(1, () => 4).then(() => (hasRoom = true))
  await new Promise((resolve) => setImmediate(resolve))
  expect(hasRoom).toBe(false)
  one.resolve(undefined)
  await waiting
})

test('what throws is thrown where the next begins and at the end, and holds the cursor back', async () => {
  const groups = new Groups('start')
  groups.open('end')
  groups.begin(1, () => Promise.reject(new Error('planted')), nothing)
  groups.close()
  await expect(groups.rest()).rejects.toThrow('planted')
  await expect(groups.room(1, () => 4)).rejects.toThrow('planted')
  expect(groups.cursor).toBe('start')
})
