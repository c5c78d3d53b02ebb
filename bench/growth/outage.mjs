/** The first writes of an outage: how long each is under way, for each pair of sides. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createCacheSwitch, fileCache, memoryCache, redisCache } from '../../dist/index.mjs'
import { median } from '../measure.mjs'
import { withRedis } from '../with-redis.mjs'
import { decider, OFF, ON } from './sides.mjs'

const WRITES = 40
/** A store that was out is asked about for 5 s, and only one that is trusted without costs the first write of an outage its wait. */
const LICENSED_MS = 6500

export async function outage({ rounds }) {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-bench-'))
  try {
    return await withRedis(undefined, (a) =>
      withRedis(undefined, async (b, server) => {
        const sides = {
          'files, Redis': () => fileCache({ directory }),
          'in-process, Redis': () => memoryCache(),
          'Redis, Redis': () => redisCache({ url: a, name: 'A' }),
        }
        const rows = []
        for (const [name, off] of Object.entries(sides)) {
          const on = redisCache({ url: b, prefix: `${name}:`, name: 'B' })
          const cache = createCacheSwitch({
            flag: 'use-redis',
            decider,
            off: off(),
            on,
            onEvent: () => {},
          })
          for (const side of [OFF, ON]) {
            const samples = []
            for (let round = 0; round < Math.min(rounds, 5); round += 1) {
              await isWell(cache, name === 'Redis, Redis' ? LICENSED_MS : 1500)
              server.kill('SIGSTOP')
              samples.push(await writes(cache.for(side)))
              server.kill('SIGCONT')
            }
            const of = (value) => `${median(samples.map(value)).toFixed(1)} ms`
            rows.push([
              name,
              side === OFF ? 'the old side' : 'the new side, which hangs',
              of((took) => took[0]),
              of((took) => took[1]),
              of((took) => median(took.slice(-10))),
              Math.max(...samples.map((took) => took.failed)),
            ])
          }
          await cache.close()
        }
        return {
          title:
            'The new side hangs (SIGSTOP), and one process writes, one set after the other; median of the rounds',
          headings: [
            'sides',
            'user of',
            'first set',
            'second',
            `median of the last 10 of ${WRITES}`,
            'failed',
          ],
          rows,
        }
      }),
    )
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function writes(user) {
  const took = []
  took.failed = 0
  for (let i = 0; i < WRITES; i += 1) {
    const began = performance.now()
    await user.set(`user:${i}`, 'x').catch(() => (took.failed += 1))
    took.push(performance.now() - began)
  }
  return took
}

/** Nothing pending, and each side has taken a write just now. */
async function isWell(cache, restMs) {
  for (;;) {
    await Promise.all([OFF, ON].map((side) => cache.for(side).set('probe', 1)))
    const { ok, off, on } = cache.health()
    if (ok && off.owed + on.owed === 0) break
    await delay(100)
  }
  await delay(restMs)
}
