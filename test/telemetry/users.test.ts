import { FlagdCore } from '@openfeature/flagd-core'
import { expect, test } from 'vitest'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { useRedis } from '../support/flags-files.ts'

/** Chi-square with 31 degrees of freedom: 61.1 is exceeded by chance once in 1,000 times. */
function chiSquare(marks: readonly number[]): number {
  const counts = Array.from({ length: 32 }, () => 0)
  for (const mark of marks) counts[mark & 31]!++
  const expected = marks.length / 32
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

const users = Array.from({ length: 20_000 }, (_, i) => `user_${i}`)

test('the buckets fill evenly within the share that flagd itself picks', () => {
  const core = new FlagdCore()
  core.setConfigurations(JSON.stringify(useRedis(10)))
  const telemetry = createTelemetry({ meter: false })
  const silent = { error() {}, warn() {}, info() {}, debug() {} }
  const onUsers = users.filter(
    (targetingKey) =>
      core.resolveBooleanEvaluation('use-redis', false, { targetingKey }, silent).value,
  )
  expect(onUsers.length).toBeGreaterThan(1800)
  expect(chiSquare(onUsers.map((user) => telemetry.bucketOf(user)))).toBeLessThan(61.1)
  expect(chiSquare(users.map((user) => telemetry.bucketOf(user)))).toBeLessThan(61.1)
  telemetry.close()
})

test('a mark is stable over processes: replicas must agree on the bucket of a user', () => {
  const telemetry = createTelemetry({ meter: false })
  expect(['', 'user_0', 'Zoë', '日本', undefined].map((key) => telemetry.bucketOf(key))).toEqual([
    1_128_519_402, 1_894_195_795, 676_051_233, 1_797_213_610, 1_128_519_402,
  ])
  telemetry.close()
})

test('distinct users count once per window, whatever they do', () => {
  let now = 0
  const telemetry = createTelemetry({ meter: false, now: () => now })
  const visit = (side: 'off' | 'on', count: number): void => {
    for (const user of users.slice(0, count)) {
      telemetry.operation(side, 'get', 'hit', 1, telemetry.bucketOf(user))
      telemetry.operation(side, 'get', 'miss', 1, telemetry.bucketOf(user))
    }
  }
  const seen = (): readonly number[] => {
    const { arms, userWindows } = telemetry.snapshot()
    return [arms.off.distinctUsers, arms.on.distinctUsers, userWindows]
  }
  visit('on', 1000)
  visit('off', 300)
  const [off, on] = seen()
  // 524,288 cells: about one of a thousand users falls on another's.
  expect(on).toBeGreaterThanOrEqual(995)
  expect(off).toBeGreaterThanOrEqual(299)
  visit('on', 1000)
  expect(seen()).toEqual([off, on, 1])
  now = 60_000
  seen()
  visit('on', 1000)
  expect(seen()).toEqual([off, on! * 2, 2])
  telemetry.close()
})

test('a crowd stops both arms at once, so that their ratio stays what it was', () => {
  const telemetry = createTelemetry({ meter: false })
  for (const [i, user] of users.entries()) {
    telemetry.operation(i % 4 === 0 ? 'on' : 'off', 'get', 'hit', 1, telemetry.bucketOf(user))
  }
  const { off, on } = telemetry.snapshot().arms
  expect(off.distinctUsers).toBe(8192)
  expect(on.distinctUsers / off.distinctUsers).toBeCloseTo(1 / 3, 1)
  telemetry.close()
})
