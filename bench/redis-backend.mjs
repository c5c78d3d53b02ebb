#!/usr/bin/env node
/**
 * What the Redis backend costs beside bare ioredis + JSON, in the same interleaved run.
 * Usage: npm run build && node bench/redis-backend.mjs [redis url]
 */
import { Redis } from 'ioredis'
import { ANY, redisCache } from '../build/cache/index.js'
import { openEnvelope, sealEnvelope, valueEnvelope } from '../build/cache/envelope.js'
import { compare, table } from './measure.mjs'
import { withRedis } from './with-redis.mjs'

const value = { id: 7, name: 'user_7', text: 'x'.repeat(960), tags: ['a', 'b', 'c'] }
const KEYS = Array.from({ length: 1000 }, (_, i) => `user:${String(i).padStart(15, '0')}`)
const key = (i) => KEYS[i % KEYS.length]

await withRedis(process.argv[2], async (url) => {
  // What the backend's own client is, but for its protection.
  const bare = new Redis(url)
  const timed = new Redis(url, { commandTimeout: 1000 })
  const cache = redisCache({ url })
  const shared = redisCache({ client: bare, prefix: 'shared:' })
  const expiresAt = Date.now() + 3_600_000
  const write = { expect: ANY, within: 1000 }
  const put = (backend, i) =>
    backend.write(key(i), { payload: JSON.stringify(value), expiresAt }, write)
  for (let i = 0; i < KEYS.length; i += 1) {
    await put(cache, i)
    await put(shared, i)
    await bare.set(`bare:${key(i)}`, JSON.stringify(value))
  }
  const contenders = [
    { name: 'GET + JSON', run: async (i) => JSON.parse(await bare.get(`bare:${key(i)}`)) },
    {
      name: 'GET + JSON, commandTimeout',
      run: async (i) => JSON.parse(await timed.get(`bare:${key(i)}`)),
    },
    {
      name: 'read + JSON, client given',
      run: async (i) => JSON.parse((await shared.read(key(i))).payload),
    },
    {
      name: 'read + JSON, own client',
      run: async (i) => JSON.parse((await cache.read(key(i))).payload),
    },
    {
      name: 'SET PX + JSON',
      run: (i) => bare.set(`bare:${key(i)}`, JSON.stringify(value), 'PX', 3_600_000),
    },
    { name: 'write + JSON, client given', run: (i) => put(shared, i) },
    { name: 'write + JSON, own client', run: (i) => put(cache, i) },
    { name: 'DEL', run: (i) => bare.del(`gone:${key(i)}`) },
    { name: 'invalidate, own client', run: (i) => cache.invalidate(`gone:${key(i)}`, write) },
  ]
  for (const inFlight of [64, 1]) {
    const count = inFlight === 1 ? 3000 : 20_000
    const rows = await compare(contenders, { inFlight, count })
    console.log(`\n${inFlight} in flight, 1 KiB of JSON`)
    console.log(
      table(
        ['operation', 'CPU us', 'spread', 'wall us', 'ops/s'],
        rows.map(({ name, cpuUs, cpuSpread, wallUs, perSecond }) => [
          name,
          cpuUs.toFixed(1),
          cpuSpread,
          wallUs.toFixed(1),
          perSecond.toFixed(0),
        ]),
      ),
    )
  }
  bare.disconnect()
  timed.disconnect()
  await Promise.all([cache.close(), shared.close()])
})

// As it comes off the wire: a flat string, not a concatenation.
const text = Buffer.from(
  sealEnvelope(valueEnvelope(JSON.stringify(value), Date.now() + 1e6), Date.now()),
).toString()
const ROUNDS = 3_000_000
for (let round = 0; round < 3; round += 1) {
  const now = Date.now()
  const cpu = process.cpuUsage()
  let found = 0
  for (let i = 0; i < ROUNDS; i += 1) {
    found += openEnvelope(text, now + (i & 1), 1000)?.payload.length ?? 0
  }
  const { user, system } = process.cpuUsage(cpu)
  if (round === 2 && found > 0) {
    console.log(`\nopen an envelope: ${(((user + system) * 1000) / ROUNDS).toFixed(0)} ns of CPU`)
  }
}
