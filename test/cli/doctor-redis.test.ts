import { describe, expect, it } from 'vitest'
import { main } from '../../src/cli/index.ts'
import { flagsFile } from '../rollout/support.ts'
import { redisServerAvailable, startRedis } from '../support/redis-server.ts'

/** What the doctor says about this Redis. */
async function examine(url: string) {
  let text = ''
  await main({
    argv: ['doctor', '--no-flagd', '--json', '--file', await flagsFile(), '--redis', url],
    env: {},
    stdin: process.stdin,
    stdout: { write: (part: string) => void (text += part) },
    stderr: { write: (part: string) => void (text += part) },
    signal: new AbortController().signal,
  })
  const { findings } = JSON.parse(text) as { findings: Record<string, string>[] }
  return findings.filter(({ check }) => check?.startsWith('redis'))
}

describe.skipIf(!redisServerAvailable())('doctor and the memory of Redis', () => {
  it('advises what docs/production.md does', async () => {
    await using redis = await startRedis()
    const memory = async (limit: string, policy: string) => {
      await redis.command('CONFIG', 'SET', 'maxmemory', limit)
      await redis.command('CONFIG', 'SET', 'maxmemory-policy', policy)
      return (await examine(redis.url)).find(({ check }) => check === 'redis memory')
    }
    const choose = 'set maxmemory-policy allkeys-lfu, or noeviction if you can promise room'
    const unlimited = await memory('0', 'noeviction')
    expect(unlimited).toMatchObject({ state: 'warning', remedy: `set maxmemory, and ${choose}` })
    for (const policy of ['allkeys-lru', 'volatile-ttl', 'allkeys-random']) {
      expect(await memory('64mb', policy)).toMatchObject({ state: 'warning', remedy: choose })
    }
    for (const policy of ['noeviction', 'allkeys-lfu']) {
      const text = expect.stringContaining(`${policy} at 64 MiB`)
      expect(await memory('64mb', policy)).toMatchObject({ state: 'ok', text })
    }
  })
})
