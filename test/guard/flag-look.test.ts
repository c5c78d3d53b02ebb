import { expect, test } from 'vitest'
import { Alarms } from '../../src/guard/status/alarms.ts'
import type { Actuator } from '../../src/guard/act/actuator.ts'
import { FlagLook } from '../../src/guard/watch/flag-look.ts'

test('what an alarm says of flagd and the processes is asked again soon, not after ten seconds', async () => {
  const alarms = new Alarms(async () => {})
  let same = false
  const served = async () => ({ same, detail: same ? '' : 'flagd does not answer' })
  const actuator = { served } as unknown as Actuator
  const look = new FlagLook({ actuator, alarms, onMended: () => {} })
  const effect = {
    confirmed: false,
    servedMs: undefined,
    lastMs: undefined,
    detail: 'flagd does not answer',
  }
  await look.expect(effect, 0)
  same = true
  await look.served(1_000)
  expect(alarms.list).toHaveLength(1)
  await look.served(2_000)
  expect(alarms.list).toEqual([])
  same = false
  await look.served(4_000)
  expect(alarms.list).toEqual([])
  await look.served(12_000)
  await look.served(22_000)
  expect(alarms.list).toHaveLength(1)
})

test('where a change needs a minute it is waited for, and an alarm only when it is late', async () => {
  const alarms = new Alarms(async () => {})
  let same = false
  const served = async () => ({ same, detail: same ? '' : 'app-1 does not have it' })
  const actuator = { served, reachMs: 60_000 } as unknown as Actuator
  let mended = 0
  const look = new FlagLook({ actuator, alarms, onMended: () => void mended++ })
  const effect = { confirmed: false, lastMs: undefined, detail: 'app-1 does not have it' }
  await look.expect(effect, 0)
  expect([alarms.list, look.waiting]).toEqual([[], expect.stringContaining('app-1')])
  await look.served(2_000)
  expect([alarms.list, look.waiting]).toEqual([[], expect.stringContaining('app-1')])
  // It arrives: the next step may be thought of, with users counted from now on.
  same = true
  await look.served(40_000)
  expect([alarms.list, look.waiting, mended]).toEqual([[], '', 1])
  // Another one does not.
  same = false
  await look.expect(effect, 100_000)
  await look.served(159_000)
  expect(alarms.list).toEqual([])
  await look.served(161_000)
  expect([alarms.list.length, look.waiting]).toEqual([1, ''])
})
