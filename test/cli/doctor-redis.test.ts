import { describe, expect, it } from 'vitest'
import { redisCache } from '../../src/cache/index.ts'
import { redisServerAvailable, startRedis } from '../support/redis-server.ts'
import { findingsOf } from './doctor-findings.ts'

/** What the doctor says about this Redis. */
async function examine(url: string) {
  const findings = await findingsOf('--redis', url)
  return findings.filter(({ check }) => check?.startsWith('redis'))
}

describe.skipIf(!redisServerAvailable())('doctor and the memory of Redis', () => {
  it('advises what docs/operate.md does', async () => {
    await using redis = await startRedis()
    const memory = async (limit: string, policy: string) => {
      await redis.command('CONFIG', 'SET', 'maxmemory', limit)
      await redis.command('CONFIG', 'SET', 'maxmemory-policy', policy)
      return (await examine(redis.url)).find(({ check }) => check === 'redis memory')
    }
    const choose = 'set maxmemory-policy noeviction with room to spare, or else volatile-lru'
    const unlimited = await memory('0', 'noeviction')
    expect(unlimited).toMatchObject({ state: 'warning', remedy: `set maxmemory, and ${choose}` })
    for (const policy of ['allkeys-lfu', 'allkeys-lru', 'volatile-ttl', 'allkeys-random']) {
      expect(await memory('64mb', policy)).toMatchObject({ state: 'warning', remedy: choose })
    }
    for (const policy of ['noeviction', 'volatile-lru']) {
      const text = expect.stringContaining(`${policy} at 64 MiB`)
      expect(await memory('64mb', policy)).toMatchObject({ state: 'ok', text })
    }
  })
})

describe.skipIf(!redisServerAvailable())('doctor and a replica', () => {
  it('names its master', async () => {
    await using redis = await startRedis()
    const role = async () => (await examine(redis.url)).find(({ check }) => check === 'redis role')
    expect(await role()).toBeUndefined()
    await redis.command('REPLICAOF', '127.0.0.1', '1')
    expect(await role()).toMatchObject({
      state: 'problem',
      text: `${redis.url} is a replica: it refuses every write, so the old side serves all users`,
      remedy: expect.stringContaining('name its master, 127.0.0.1:1'),
    })
  })
})

describe.skipIf(!redisServerAvailable())('doctor and a Redis that several machines follow', () => {
  it('tries it', async () => {
    await using redis = await startRedis()
    const tracking = async (url: string) =>
      (await examine(url)).find(({ check }) => check === 'redis tracking')
    expect(await tracking(redis.url)).toMatchObject({ state: 'ok' })
    const user = ['ACL', 'SETUSER', 'app', 'on', '>secret', '~switchback:cache:*', '+@all']
    await redis.command(...user, '-client|tracking', '&*')
    expect(await tracking(redis.url.replace('redis://', 'redis://app:secret@'))).toMatchObject({
      state: 'warning',
      text: expect.stringMatching(/CLIENT TRACKING is refused .*only when their copy expires$/u),
      remedy: expect.stringMatching(/\+client\|tracking/u),
    })
  })
})

describe.skipIf(!redisServerAvailable())('doctor and plain values', () => {
  it('checks what they need, and names the option that is missing', async () => {
    await using redis = await startRedis()
    const user = ['ACL', 'SETUSER', 'app', 'on', '>secret', '+@all', '&*']
    await redis.command(...user, '~app:*', '~switchback:cache:*')
    const url = redis.url.replace('redis://', 'redis://app:secret@')
    const plain = ['--redis', url, '--values', 'plain', '--prefix', 'app:']
    const found = async (check: string, ...args: readonly string[]) =>
      (await findingsOf(...args)).find((each) => each.check === check)
    // Its companions and its state are elsewhere than its values.
    expect(await found('redis rights', ...plain)).toMatchObject({
      state: 'problem',
      remedy: 'run on Redis: ACL SETUSER app ~switchback:plain:*',
    })
    await redis.command(...user, 'resetkeys', '~switchback:plain:*')
    expect(await found('redis rights', ...plain)).toMatchObject({
      remedy: 'run on Redis: ACL SETUSER app ~app:*',
    })
    await redis.command(...user, '~app:*', '~switchback:cache:*')
    expect(await found('redis rights', ...plain)).toBeUndefined()
    expect(await found('redis tracking', ...plain)).toMatchObject({ state: 'ok' })
    expect(await found('redis state', ...plain)).toMatchObject({
      state: 'ok',
      text: expect.stringContaining('no switch has used'),
    })
    const cache = redisCache({ url, values: 'plain', prefix: 'app:' })
    await cache.ping()
    await cache.close()
    expect(await found('redis state', ...plain)).toMatchObject({
      state: 'ok',
      text: expect.stringContaining('a switch with plain values under the prefix "app:"'),
    })
    expect(await found('redis state', '--redis', url, '--prefix', 'app:')).toMatchObject({
      state: 'warning',
      text: expect.stringMatching(/no switch with values of its own .*, but one with plain values/),
      remedy: 'if that is the service, give --values plain',
    })
    const all = ['--redis', redis.url, '--values', 'plain']
    expect(await found('redis tracking', ...all)).toMatchObject({ state: 'ok' })
    expect(await found('redis rights', ...all)).toBeUndefined()
    // The old side has options of its own.
    const pair = ['--redis', url, '--old-redis', url, '--old-prefix', 'app:']
    const told = await findingsOf(...pair, '--old-values', 'plain', '--values', 'cells')
    expect(told.filter(({ check }) => check === 'redis state')).toMatchObject([
      { text: expect.stringMatching(/no switch has used/) },
      { text: expect.stringMatching(/plain values under the prefix "app:"/) },
    ])
  })
})

describe.skipIf(!redisServerAvailable())('doctor and a Redis that refuses', () => {
  it('tells what was refused', async () => {
    await using redis = await startRedis()
    const { port } = redis
    await redis.command('ACL', 'SETUSER', 'nobody', 'on', '>secret', '+info', '+time')
    const at = async (url: string) => {
      const [found] = await examine(url)
      expect(found?.['state']).toBe('problem')
      expect(found?.['text']).not.toMatch(/Connection is closed|secret|wrong|does not answer/)
      return `${found?.['text']} -> ${found?.['remedy']}`
    }
    expect(await at(`redis://nobody:wrong@127.0.0.1:${port}`)).toMatch(
      /refuses the user or the password: WRONGPASS.* -> correct them/,
    )
    expect(await at(`${redis.url}/99`)).toMatch(/has no database 99.* -> leave the number out/)
    expect(await at(`redis://nobody:secret@127.0.0.1:${port}/1`)).toMatch(
      /user nobody may not choose database 1 -> run on Redis: ACL SETUSER nobody \+select \+/,
    )
    await redis.command('ACL', 'SETUSER', 'default', '>other', 'resetpass', '>secret', 'on')
    expect(await at(redis.url)).toMatch(/requires a password, and the URL has none/)
  })

  it('gives the line that grants what is missing, of both sides', async () => {
    await using redis = await startRedis()
    const user = ['ACL', 'SETUSER', 'app', 'on', '>secret', '~switchback:cache:*', '+@all']
    await redis.command(...user, '-hincrby', '-info')
    const url = redis.url.replace('redis://', 'redis://app:secret@')
    const rights = async (...args: readonly string[]) =>
      (await findingsOf('--redis', url, ...args)).filter(({ check }) => check === 'redis rights')
    expect(await rights()).toMatchObject([
      { state: 'warning', text: expect.stringMatching(/^user app lacks \+info: .*is cold$/) },
    ])
    const remedy = 'run on Redis: ACL SETUSER app +info +hincrby'
    expect(await rights('--old-redis', url)).toMatchObject([
      { state: 'problem', text: 'user app lacks +info +hincrby', remedy },
      { state: 'problem', text: 'user app lacks +info +hincrby', remedy },
    ])
    expect(await rights('--prefix', 'other:')).toMatchObject([
      { state: 'problem', remedy: 'run on Redis: ACL SETUSER app ~other:*' },
    ])
  })

  it.each(['http://127.0.0.1:1', 'localhost:6379', 'redis://127.0.0.1:6379/abc', 'redis:secret@x'])(
    'knows that %s is not a Redis URL',
    async (url) => {
      expect(await examine(url)).toMatchObject([
        { state: 'problem', text: expect.stringMatching(/^[^@]+ is not a Redis URL$/) },
      ])
    },
  )
})
