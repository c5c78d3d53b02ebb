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
