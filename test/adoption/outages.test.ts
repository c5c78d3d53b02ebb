// @needs redis
import { expect, test } from 'vitest'
import { valkeyServer } from '../support/redis-server.ts'
import {
  runStory,
  SHARES,
  startClusterStore,
  startStore,
  startValkeyStore,
  type Store,
  type Story,
} from './outages.ts'

/*
 * Redis A to Redis B with the keys that are there, from 0 to 100 % and back, while either is killed or stands still,
 * the old version beside it. At every share, to a Cluster, and to and from Valkey (`valkey-server`, or what
 * VALKEY_SERVER_BIN names): `SWITCHBACK_RUNS=1 npx vitest run test/adoption/outages`.
 */

const isLong = process.env['SWITCHBACK_RUNS'] !== undefined
const valkey = valkeyServer()
const KEYS = 25

type Start = () => Promise<Store>
type Way = readonly [off: Start, on: Start]

const EACH: readonly Omit<Story, 'step'>[] = [
  { side: 'off', fault: 'freeze' },
  { side: 'on', fault: 'kill' },
  { side: 'off', fault: 'kill' },
  { side: 'on', fault: 'freeze' },
]

const redis: Start = () => startStore()
const WAYS: Readonly<Record<string, Way>> = {
  'Redis to Redis': [redis, redis],
  'Redis to a Cluster': [redis, startClusterStore],
  ...(valkey !== undefined && {
    'Redis to Valkey': [redis, startValkeyStore],
    'Valkey to Redis': [startValkeyStore, redis],
  }),
}

if (isLong) {
  if (valkey === undefined) console.warn('There is no valkey-server: not told of Valkey.')
  test.each(Object.keys(WAYS))('from %s and back', { timeout: 900_000 }, async (name) => {
    for (const step of SHARES.keys()) {
      // Mostly they wait.
      await Promise.all(EACH.map((one) => tell({ ...one, step }, WAYS[name]!)))
    }
  })
} else {
  test('from a Redis with its keys to another one and back', { timeout: 900_000 }, async () => {
    // Where Valkey is there, the new side that is killed is one.
    const toValkey = WAYS['Redis to Valkey'] ?? [redis, redis]
    const wayOf = (step: number): Way => (step === 1 ? toValkey : [redis, redis])
    await Promise.all(EACH.map((one, step) => tell({ ...one, step }, wayOf(step))))
  })
}

async function tell(story: Story, [startOff, startOn]: Way): Promise<void> {
  const [off, on] = [await startOff(), await startOn()]
  try {
    const seed = 1 + story.step
    const told = await runStory({ ...story, stores: { off, on }, seed, keys: KEYS })
    const where = `${story.fault} of ${story.side} at ${SHARES[story.step]! * 100} %`
    expect(told.scene.violations, where).toEqual([])
    // While nobody can vouch for a side, each of 200 users loads: `originConcurrency` is the bound.
    expect(told.scene.loadsAtOnce, `${where}: loads at once`).toBeLessThanOrEqual(64)
    // Each side is cold once, if a store has lost what it knew of the other one; and as without outages.
    const { loadsAfter, renamesAfter } = told
    expect(loadsAfter, `${where}: loads after it`).toBeLessThanOrEqual(2 * KEYS + 3 * renamesAfter)
  } finally {
    await Promise.all([off.stop(), on.stop()])
  }
}
