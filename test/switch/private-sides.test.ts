import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Fleet, type OldSide, type Pod } from '../support/fleet.ts'
import { until } from '../support/until.ts'

let fleet: Fleet

beforeAll(async () => {
  fleet = await Fleet.create()
})

afterAll(() => fleet.close())

const KINDS: readonly OldSide[] = ['memory', 'file', 'adapted']

describe.each(KINDS)('machines with a %s side of their own, and one Redis', (kind) => {
  let pods: Pod[]

  beforeAll(async () => {
    pods = [1, 2, 3].map((n) => fleet.start({ kind, directory: `${kind} ${n}` }))
    // A lone machine has nobody to follow: they meet at Redis.
    for (const { offUser, cache } of pods) {
      await offUser.get(fleet.key())
      await until('it follows Redis', () => cache.health().follower?.live === true)
    }
  })

  test.each(['offUser', 'onUser'] as const)(
    'what one machine sets as %s, the users of the old side of the others see',
    async (writer) => {
      const [first, ...others] = pods as [Pod, Pod, Pod]
      const key = fleet.key()
      for (const pod of pods) await pod.offUser.getOrSet(key, () => 'v1')
      await first[writer].set(key, 'v2')
      for (const pod of others) {
        await pod.told()
        expect(await pod.offUser.get(key)).not.toBe('v1')
        expect(await pod.offUser.getOrSet(key, () => 'v2')).toBe('v2')
      }
    },
  )
  test('what one machine deletes, they load anew', async () => {
    const [first, ...others] = pods as [Pod, Pod, Pod]
    const key = fleet.key()
    for (const pod of pods) await pod.offUser.getOrSet(key, () => 'v1')
    await first.offUser.delete(key)
    for (const pod of others) {
      await pod.told()
      expect(await pod.offUser.get(key)).toBeUndefined()
    }
  })
})
