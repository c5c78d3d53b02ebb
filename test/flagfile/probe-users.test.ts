import { FlagdCore } from '@openfeature/flagd-core'
import { describe, expect, it } from 'vitest'
import { isProbeUser, probeUsers } from '../../src/flagfile/index.ts'
import { murmur3 } from '../../src/flagfile/rules/murmur3.ts'

const KEYS = ['use-redis', 'f', 'größe', 'a much longer key of a flag, with spaces: 💡', '']

describe('the probe users of a flag', () => {
  it.each(KEYS)('%j: one lies in the middle of each hundredth', (flag) => {
    const users = probeUsers(flag)
    expect(new Set(users).size).toBe(100)
    for (const [index, user] of users.entries()) {
      const hash = murmur3(flag + user)
      expect(Number((BigInt(hash) * 100n) >> 32n)).toBe(index)
      // Nearer to the middle of its hundredth than to its ends, by far.
      expect(Number((BigInt(hash) * 1000n) >> 32n) % 10).toBeOneOf([4, 5])
      expect(isProbeUser(user)).toBe(true)
    }
    expect(probeUsers(flag)).toBe(users)
    expect(Object.isFrozen(users)).toBe(true)
  })

  it("are spread by flagd's evaluator: a plain split of n puts the first n on", () => {
    for (const share of [0, 1, 7, 50, 99, 100]) {
      const core = new FlagdCore()
      const fractional = [
        ['on', share],
        ['off', 100 - share],
      ]
      const flag = {
        state: 'ENABLED',
        variants: { on: true, off: false },
        defaultVariant: 'off',
        targeting: { fractional },
      }
      core.setConfigurations(JSON.stringify({ flags: { 'use-redis': flag } }))
      const on = probeUsers('use-redis').map(
        (targetingKey) => core.resolveBooleanEvaluation('use-redis', false, { targetingKey }).value,
      )
      expect(on).toEqual(Array.from({ length: 100 }, (_, index) => index < share))
    }
  })

  it('never change: processes of two versions must be comparable', () => {
    expect(probeUsers('use-redis').slice(0, 3)).toMatchInlineSnapshot(`
      [
        "switchback-probe-1891",
        "switchback-probe-469",
        "switchback-probe-142",
      ]
    `)
  })

  it('the hash is MurmurHash3 x86 32, whatever the length of the text', () => {
    // Reference values of the algorithm's author's test, and of flagd's library.
    expect(murmur3('')).toBe(0)
    expect(murmur3('test')).toBe(0xba6bd213)
    expect(murmur3('Hello, world!')).toBe(0xc0363e43)
    expect(murmur3('The quick brown fox jumps over the lazy dog')).toBe(0x2e4ff723)
  })
})
