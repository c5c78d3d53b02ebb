#!/usr/bin/env node
/**
 * What the switch costs on top of its parts: the decision, a hit and a miss on each side, beside bare
 * ioredis + JSON in the same run. Usage: npm run build && node bench/router.mjs [redis url]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OpenFeature } from '@openfeature/server-sdk'
import { Redis } from 'ioredis'
import {
  createCacheSwitch,
  createDecider,
  createTelemetry,
  fileCache,
  redisCache,
} from '../dist/index.mjs'
import { compare, table } from './measure.mjs'
import { flagByKey } from './flag-by-key.mjs'
import { withRedis } from './with-redis.mjs'

const value = { id: 7, name: 'user_7', text: 'x'.repeat(960), tags: ['a', 'b', 'c'] }

await withRedis(process.argv[2], async (url) => {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-bench-'))
  await flagByKey()
  const bare = new Redis(url)
  const decider = createDecider({ flag: 'use-redis', feature: 'cache' })
  const telemetry = createTelemetry()
  const off = fileCache({ directory })
  const on = redisCache({ url })
  const cache = createCacheSwitch({ flag: 'use-redis', decider, off, on, telemetry })
  const onUser = cache.for({ targetingKey: 'on-user' })
  const offUser = cache.for({ targetingKey: 'off-user' })
  const client = OpenFeature.getClient()
  const context = { targetingKey: 'on-user' }

  await bare.set('bench:bare', JSON.stringify(value))
  await onUser.set('bench-on', value)
  await offUser.set('bench-off', value)
  await on.write(
    'bench-on',
    { payload: JSON.stringify(value), expiresAt: 9_999_999_999_999 },
    { expect: '*', within: 1000 },
  )
  await decider.decide(context)

  const rows = []
  const add = (title, results, base) => {
    const reference = results.find(({ name }) => name === base)
    for (const one of results) {
      const over = one === reference ? '' : `${(one.cpuUs - reference.cpuUs).toFixed(1)}`
      rows.push([
        title,
        one.name,
        one.cpuUs.toFixed(2),
        one.cpuSpread,
        over,
        Math.round(one.perSecond).toLocaleString('en'),
      ])
    }
  }

  add(
    'decision',
    await compare(
      [
        {
          name: 'OpenFeature client, in-memory provider',
          run: () => client.getBooleanValue('use-redis', false, context),
        },
        { name: 'remembered decision', run: () => decider.decide(context) },
      ],
      { count: 100_000, inFlight: 1 },
    ),
    'OpenFeature client, in-memory provider',
  )

  for (const inFlight of [64, 1]) {
    const count = inFlight === 1 ? 4000 : 20_000
    add(
      `Redis hit, ${inFlight} in flight`,
      await compare(
        [
          {
            name: 'bare ioredis + JSON',
            run: async () => JSON.parse(await bare.get('bench:bare')),
          },
          {
            name: 'redisCache alone',
            run: async () => JSON.parse((await on.read('bench-on')).payload),
          },
          { name: 'through the switch', run: () => onUser.get('bench-on') },
        ],
        { count, inFlight },
      ),
      'bare ioredis + JSON',
    )
    const text = () => JSON.stringify(value)
    add(
      `Redis set, ${inFlight} in flight`,
      await compare(
        [
          {
            name: 'bare ioredis + JSON',
            run: (i) => bare.set(`bench:set:${i % 1000}`, text(), 'PX', 600_000),
          },
          {
            name: 'through the switch (both sides told)',
            run: (i) => onUser.set(`bench-set-${i % 1000}`, value, { ttl: 600_000 }),
          },
        ],
        { count: count / 2, inFlight },
      ),
      'bare ioredis + JSON',
    )
  }
  add(
    'file hit',
    await compare(
      [
        { name: 'fileCache alone', run: () => JSON.parse(off.read('bench-off').payload) },
        { name: 'through the switch', run: () => offUser.get('bench-off') },
      ],
      { count: 50_000, inFlight: 1 },
    ),
    'fileCache alone',
  )
  let misses = 0
  add(
    'getOrSet miss, 64 in flight',
    await compare(
      [
        {
          name: 'bare ioredis + JSON',
          run: async () => {
            const key = `bench:miss:${(misses += 1)}`
            if ((await bare.get(key)) === null)
              await bare.set(key, JSON.stringify(value), 'PX', 60_000)
          },
        },
        {
          name: 'through the switch',
          run: () => onUser.getOrSet(`bench-miss-${(misses += 1)}`, () => value, { ttl: 60_000 }),
        },
      ],
      { count: 4000 },
    ),
    'bare ioredis + JSON',
  )

  console.log(table(['measure', 'contender', 'CPU us/op', 'spread', 'over', 'ops/s'], rows))
  await cache.close()
  await decider.close()
  bare.disconnect()
  await OpenFeature.close()
  rmSync(directory, { recursive: true, force: true })
})
