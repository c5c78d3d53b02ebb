/** The cost of an operation with 1 to 512 of them in flight in one process. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { fileCache, redisCache } from '../../dist/index.mjs'
import { compare } from '../measure.mjs'
import { VALUE } from '../peers/stage.mjs'
import { withRedis } from '../with-redis.mjs'
import { beside, isWell, OFF, ON, switchOf, times, turning } from './sides.mjs'

const IN_FLIGHT = [1, 8, 64, 512]
const KEYS = Array.from({ length: 1000 }, (_, i) => `profile:user-${i}`)
/** A set costs many times what a hit does, and one at a time waits. */
const countOf = ({ name }, inFlight) => {
  if (inFlight === 1) return name.startsWith('set') ? 300 : 1000
  return name.startsWith('set') ? 1024 : 4096
}
const key = (i) => KEYS[i % KEYS.length]

export async function inFlight({ rounds }) {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-bench-'))
  try {
    return await withRedis(undefined, async (url) => {
      const bare = new Redis(url)
      const off = fileCache({ directory })
      const on = redisCache({ url })
      const cache = switchOf(off, on)
      const [offUser, onUser] = [cache.for(OFF), cache.for(ON)]
      const text = JSON.stringify(VALUE)
      for (const one of KEYS) {
        await bare.set(`bare:${one}`, text)
        await onUser.set(`on:${one}`, VALUE)
        await offUser.set(`off:${one}`, VALUE)
      }
      const contenders = [
        {
          name: 'ioredis GET + JSON',
          run: async (i) => JSON.parse(await bare.get(`bare:${key(i)}`)),
        },
        { name: 'hit, user of Redis', run: (i) => onUser.get(`on:${key(i)}`) },
        { name: 'hit, user of files', run: turning((i) => offUser.get(`off:${key(i)}`)) },
        {
          name: 'ioredis SET + JSON',
          run: (i) => bare.set(`bare:${key(i)}`, JSON.stringify(VALUE)),
        },
        { name: 'set, user of Redis', run: (i) => onUser.set(`on:${key(i)}`, VALUE) },
        { name: 'set, user of files', run: (i) => offUser.set(`off:${key(i)}`, VALUE) },
      ]
      const rows = contenders.map(({ name }) => [name])
      for (const n of IN_FLIGHT) {
        const given = contenders.map((one) => ({
          ...one,
          count: countOf(one, n),
          prepare: () => isWell(cache),
        }))
        const results = await compare(given, { rounds, inFlight: n })
        for (const [i, one] of results.entries()) {
          const reference = results[i < 3 ? 0 : 3]
          rows[i].push(beside(one.cpuUs, times(one, reference)))
        }
      }
      await cache.close()
      bare.disconnect()
      return {
        title:
          'CPU us an operation (beside ioredis in the same round), by how many are in flight; 1 KiB of JSON, 1,000 keys, files and Redis',
        headings: ['operation', ...IN_FLIGHT.map((n) => `${n} in flight`)],
        rows,
      }
    })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
