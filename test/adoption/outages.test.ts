// @needs redis
import { expect, test } from 'vitest'
import { runStory, SHARES, startClusterStore, startStore, type Story } from './outages.ts'

/*
 * Redis A to Redis B with the keys that are there, from 0 to 100 % and back, while either is killed or stands still,
 * the old version beside it. At every share, and to a Cluster too: `SWITCHBACK_RUNS=1 npx vitest run
 * test/adoption/outages`. To and from Valkey: `REDIS_SERVER_BIN=valkey-server`.
 */

const isLong = process.env['SWITCHBACK_RUNS'] !== undefined
const KEYS = 25

const EACH: readonly Omit<Story, 'step'>[] = [
  { side: 'off', fault: 'freeze' },
  { side: 'on', fault: 'kill' },
  { side: 'off', fault: 'kill' },
  { side: 'on', fault: 'freeze' },
]

const STORIES: readonly (readonly Story[])[] = isLong
  ? SHARES.map((_, step) => EACH.map((one) => ({ ...one, step })))
  : [EACH.map((one, step) => ({ ...one, step }))]

test.each(isLong ? ['Redis', 'Cluster'] : ['Redis'])(
  'from a Redis with its keys to a %s and back, under kill and freeze of either',
  { timeout: 900_000 },
  async (to) => {
    for (const stories of STORIES) {
      // Mostly they wait.
      await Promise.all(stories.map((story) => tell(story, to)))
    }
  },
)

async function tell(story: Story, to: string): Promise<void> {
  const off = await startStore()
  const on = await (to === 'Cluster' ? startClusterStore() : startStore())
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
