import assert from 'node:assert/strict'
import { type CacheBackend, FENCE_UNKNOWN, type Ledger } from '../backend.ts'
import type { Cases } from './stand.ts'

/** The machine's ledger of pending invalidations. */
export function ledgerCases(): Cases {
  return {
    'ledger: nothing is pending or fenced at first': async (stand) => {
      const ledger = ledgerOf(await stand.backend())
      assert.equal(ledger.owes('on', 'k'), false)
      assert.equal(ledger.count('on'), 0)
      assert.deepEqual([...ledger.list('on', 10)], [])
      assert.equal(ledger.fencedBefore('on'), 0)
    },
    'ledger: what is pending is seen by every handle at once, until it is settled': async (
      stand,
    ) => {
      const [a, b] = (await stand.pair()).map(ledgerOf) as [Ledger, Ledger]
      for (let i = 0; i < 50; i++) {
        assert.equal(b.owes('on', 'k'), false)
        await a.owe('on', 'k', 0)
        assert.equal(b.owes('on', 'k'), true)
        assert.equal(a.owes('on', 'k'), true)
        assert.equal(b.owes('off', 'k'), false)
        assert.equal(b.owes('on', 'other'), false)
        assert.equal(b.count('on'), 1)
        const [owed] = b.list('on', 10)
        assert.ok(owed !== undefined)
        assert.equal(await b.settle(owed), true)
        assert.equal(a.owes('on', 'k'), false)
        assert.equal(a.count('on'), 0)
        assert.equal(await a.settle(owed), false)
      }
    },
    'ledger: pending again is a new entry, once, until the latest time': async (stand) => {
      const ledger = ledgerOf(await stand.backend())
      await ledger.owe('on', 'k', 2000)
      const [first] = ledger.list('on', 1)
      await ledger.owe('on', 'k', 1000)
      const [second, ...none] = ledger.list('on', 10)
      assert.ok(first !== undefined && second !== undefined)
      assert.deepEqual(none, [])
      assert.equal(ledger.count('on'), 1)
      assert.notEqual(first.generation, second.generation)
      assert.equal(first.notBefore, 2000)
      assert.equal(second.notBefore, 2000)
      assert.equal(await ledger.settle(first), false)
      assert.equal(ledger.owes('on', 'k'), true)
      assert.equal(await ledger.settle(second), true)
      assert.equal(ledger.owes('on', 'k'), false)
    },
    'ledger: lists the oldest first, side by side, under their own keys': async (stand) => {
      const ledger = ledgerOf(await stand.backend())
      const keys = ['b', 'a', '\ud800', '\0', '#', 'é', 'x'.repeat(5000), 'c', 'd', 'e']
      for (const key of keys) await ledger.owe('on', key, 0)
      await ledger.owe('off', 'z', 0)
      assert.deepEqual(
        ledger.list('on', 3).map(({ key }) => key),
        keys.slice(0, 3),
      )
      assert.deepEqual(
        ledger.list('on', 100).map(({ key }) => key),
        keys,
      )
      for (const key of keys) assert.equal(ledger.owes('on', key), true)
      assert.equal(ledger.count('on'), keys.length)
      assert.deepEqual(
        ledger.list('off', 100).map(({ side, key }) => [side, key]),
        [['off', 'z']],
      )
    },
    'ledger: a fence never moves back, and leaves what is pending until that is written off':
      async (stand) => {
        const [a, b] = (await stand.pair()).map(ledgerOf) as [Ledger, Ledger]
        await a.owe('on', 'k', 0)
        await a.owe('off', 'k', 0)
        assert.equal(b.owes('on', 'k'), true)
        await a.fence('on', 5000)
        assert.equal(b.fencedBefore('on'), 5000)
        assert.equal(b.fencedBefore('off'), 0)
        assert.equal(b.owes('on', 'k'), true)
        await a.writeOff('on')()
        assert.equal(b.owes('on', 'k'), false)
        assert.equal(b.count('on'), 0)
        assert.equal(b.owes('off', 'k'), true)
        assert.equal(b.fencedBefore('on'), 5000)
        await b.fence('on', 4000)
        assert.equal(a.fencedBefore('on'), 5000)
        await a.owe('on', 'k', 0)
        assert.equal(b.owes('on', 'k'), true)
      },
    'ledger: writing off forgets what was pending when it was asked, not what is noted since, or again':
      async (stand) => {
        const [a, b] = (await stand.pair()).map(ledgerOf) as [Ledger, Ledger]
        for (const key of ['old', 'again', 'settled']) await a.owe('on', key, 0)
        const forget = a.writeOff('on')
        await b.settle(b.list('on', 3)[2]!)
        await b.owe('on', 'again', 0)
        await b.owe('on', 'new', 0)
        await a.fence('on', 5000)
        await forget()
        assert.deepEqual(
          b.list('on', 10).map(({ key }) => key),
          ['again', 'new'],
        )
        assert.equal(a.count('on'), 2)
        await forget()
        assert.equal(a.count('on'), 2)
        await b.writeOff('on')()
        assert.equal(a.count('on'), 0)
      },
    'ledger: lists what is due, and what was noted before the clock was set back': async (
      stand,
    ) => {
      const ledger = ledgerOf(await stand.backend())
      await ledger.owe('on', 'later', 2000)
      await ledger.owe('on', 'now', 1000)
      await ledger.owe('on', 'far', 9000)
      const keys = (limit: number, now: number): string[] =>
        ledger.list('on', limit, { now, latest: 5000 }).map(({ key }) => key)
      assert.deepEqual(keys(1, 999), ['far'])
      assert.deepEqual(keys(1, 1000), ['now'])
      assert.deepEqual(keys(10, 1000), ['now', 'far'])
      assert.deepEqual(keys(10, 2000), ['later', 'now', 'far'])
    },
    'ledger: a fence is replaced only by who knows the present one': async (stand) => {
      const [a, b] = (await stand.pair()).map(ledgerOf) as [Ledger, Ledger]
      await a.fence('on', 5000)
      await b.fence('on', 6000)
      assert.equal(await a.replaceFence('on', 5000, 1000), false)
      assert.equal(b.fencedBefore('on'), 6000)
      assert.equal(await a.replaceFence('on', 6000, 1000), true)
      assert.equal(b.fencedBefore('on'), 1000)
    },
    'ledger: what replaces a distrust of all is another fence than the one before': async (
      stand,
    ) => {
      const [a, b] = (await stand.pair()).map(ledgerOf) as [Ledger, Ledger]
      await a.fence('on', 5000)
      await a.fence('on', FENCE_UNKNOWN)
      assert.ok(b.fencedBefore('on') >= FENCE_UNKNOWN)
      assert.equal(await b.replaceFence('on', b.fencedBefore('on'), 1000), true)
      // What has missed before the distrust, and comes late, sees that there was one.
      assert.ok(a.fencedBefore('on') > 5000 && a.fencedBefore('on') < FENCE_UNKNOWN)
    },
  }
}

function ledgerOf(backend: CacheBackend): Ledger {
  assert.ok(backend.ledger !== undefined, `${backend.name} has no ledger`)
  return backend.ledger
}
