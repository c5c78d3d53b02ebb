/**
 * Some machines in one process: each has an old side in memory and connections of its own, so for a Redis it is one as
 * any other. With a second store all are processes between two Redis.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { memoryCache, redisCache } from '../../dist/index.mjs'
import { OFF, ON, paced, switchOf } from './sides.mjs'

const [url, other] = process.argv.slice(2)
const machines = []
const VALUE = { text: 'x'.repeat(960) }
const key = (i) => `user:${i % 1000}`

async function begin() {
  const off = other === undefined ? memoryCache() : redisCache({ url: other, name: 'A' })
  const on = redisCache({ url, name: 'B' })
  const cache = switchOf(off, on, { onEvent: () => {} })
  machines.push(cache)
  await cache.for(ON).get('-')
  await cache.for(OFF).get('-')
}

const does = {
  async add({ count }) {
    await Promise.all(Array.from({ length: count }, begin))
    // Each hears what the others do, or vouches for the two stores.
    for (const cache of machines) {
      while (!cache.health().ok || cache.health().follower?.live === false) await delay(20)
    }
  },
  /** One of them writes, so many a second, for so long; tells how many it was. */
  write: ({ perSecond, ms }) => paced((i) => machines[0].for(ON).set(key(i), VALUE), perSecond, ms),
  cpu: async () => process.cpuUsage(),
}

process.on('message', async ({ what, ...given }) =>
  process.send({ result: await does[what](given) }),
)
process.on('disconnect', () => process.exit())
process.send('ready')
