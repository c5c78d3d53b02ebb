import { Cluster, Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { redisCache } from '../../../src/cache/index.ts'
import { SwitchbackError, withHint } from '../../../src/errors.ts'
import { withWarnings } from '../../support/with-warnings.ts'

const SAFE = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  socketTimeout: 1000,
  connectTimeout: 1000,
  retryStrategy: (n: number): number => Math.min(n * 50, 500),
}
const SAFE_NODE = {
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  socketTimeout: 1000,
  connectTimeout: 1000,
}
const SAFE_CLUSTER = { enableOfflineQueue: false, redisOptions: SAFE_NODE }

async function warningsOf(client: Redis | Cluster): Promise<readonly SwitchbackError[]> {
  const warnings: SwitchbackError[] = []
  await withWarnings(redisCache({ client }), (warning) => void warnings.push(warning)).close()
  client.disconnect()
  return warnings
}

// Half of the options tried here are ones that the types of ioredis forbid.
function ofNode(options: object): Promise<readonly SwitchbackError[]> {
  return warningsOf(new Redis({ ...options, lazyConnect: true } as object))
}

function ofCluster(options: object): Promise<readonly SwitchbackError[]> {
  const nodes = [{ host: '127.0.0.1', port: 1 }]
  return warningsOf(new Cluster(nodes, { ...options, lazyConnect: true } as object))
}

test('a client that nobody listens to prints no stacks in an outage: the events of its side say it', async () => {
  const redis = new Redis({ ...SAFE, port: 1, lazyConnect: true })
  const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true })
  for (const client of [redis, cluster]) {
    const caches = [redisCache({ client }), redisCache({ client, prefix: 'other:' })]
    expect(client.listenerCount('error')).toBe(1)
    await Promise.all(caches.map((cache) => cache.close()))
    client.disconnect()
  }
})

test.each([
  ['the connection was lost', 'the connection was lost. Check it.'],
  ['It was lost.', 'It was lost. Check it.'],
])('a warning says what happened and what to do in two sentences: %s', (message, told) => {
  const hint = 'Check it.'
  expect(withHint(new SwitchbackError('SB_REDIS_UNREACHABLE', message, { hint }))).toBe(told)
  expect(withHint(new SwitchbackError('SB_REDIS_UNREACHABLE', message))).toBe(message)
})

describe('the check of the client given', () => {
  test('is silent about a safe one', async () => {
    expect(await ofNode(SAFE)).toEqual([])
    expect(await ofNode({ ...SAFE, socketTimeout: undefined, commandTimeout: 250 })).toEqual([])
    expect(await ofCluster(SAFE_CLUSTER)).toEqual([])
    // Nothing is left to resend.
    expect(await ofNode({ ...SAFE, autoResendUnfulfilledCommands: true })).toEqual([])
  })

  test('names every unsafe default of ioredis in one warning, with what to set', async () => {
    const warnings = await ofNode({})
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.code).toBe('SB_REDIS_CLIENT_UNSAFE')
    for (const option of Object.keys(SAFE)) expect(warnings[0]?.hint).toContain(`${option}:`)
  })

  test.each<[object, string]>([
    [{ maxRetriesPerRequest: 1 }, 'maxRetriesPerRequest: 0'],
    [{ maxRetriesPerRequest: null }, 'maxRetriesPerRequest: 0'],
    [{ enableOfflineQueue: true }, 'enableOfflineQueue: false'],
    [{ socketTimeout: undefined }, 'socketTimeout: 1000'],
    [{ connectTimeout: 10_000 }, 'connectTimeout: 1000'],
    [{ retryStrategy: (n: number) => n * 1000 }, 'retryStrategy:'],
    [{ retryStrategy: () => null }, 'retryStrategy:'],
    [{ role: 'slave' }, 'role:'],
  ])('standalone %o', async (unsafe, remedy) => {
    const warnings = await ofNode({ ...SAFE, ...unsafe })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.hint).toContain(remedy)
    expect(warnings[0]?.hint?.match(/`/gu)).toHaveLength(2)
  })

  test.each<[object, string]>([
    [{ scaleReads: 'slave' }, '`scaleReads: "master"`'],
    [{ enableOfflineQueue: true }, '`enableOfflineQueue: false`'],
    [{ clusterRetryStrategy: () => 60_000 }, '`clusterRetryStrategy:'],
    [
      { redisOptions: { ...SAFE_NODE, enableOfflineQueue: false } },
      'enableOfflineQueue` at the level of the cluster options',
    ],
    [
      { redisOptions: { ...SAFE_NODE, retryStrategy: () => 1 } },
      'clusterRetryStrategy` at the level of the cluster options',
    ],
    [
      {
        clusterNodeRetryStrategy: () => 100,
        redisOptions: {
          ...SAFE_NODE,
          maxRetriesPerRequest: 20,
          autoResendUnfulfilledCommands: true,
        },
      },
      '`redisOptions.autoResendUnfulfilledCommands: false`',
    ],
  ])('cluster %o', async (unsafe, remedy) => {
    const warnings = await ofCluster({ ...SAFE_CLUSTER, ...unsafe })
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.hint).toContain(remedy)
  })
})

describe('options of redisCache', () => {
  test.each([
    [{}, 'SB_REDIS_OPTIONS'],
    [{ url: 'redis://127.0.0.1', client: {} }, 'SB_REDIS_OPTIONS'],
    [{ url: 'redis://127.0.0.1', prefix: '' }, 'SB_REDIS_OPTIONS'],
    [{ url: 'redis://127.0.0.1', tombstoneTtl: 0 }, 'SB_REDIS_OPTIONS'],
    [{ url: 'redis://127.0.0.1', tombstoneTtl: Number.NaN }, 'SB_REDIS_OPTIONS'],
    [{ url: '127.0.0.1:6379' }, 'SB_REDIS_URL'],
    [{ url: 'http://127.0.0.1:6379' }, 'SB_REDIS_URL'],
    [{ url: 'redis://127.0.0.1:6379/users' }, 'SB_REDIS_URL'],
    [{ url: 'redis://127.0.0.1:6379/-1' }, 'SB_REDIS_URL'],
    [{ client: {} }, 'SB_REDIS_CLIENT'],
    [{ client: 'redis://127.0.0.1' }, 'SB_REDIS_CLIENT'],
    [{ client: null }, 'SB_REDIS_CLIENT'],
  ])('%o is refused with %s and a hint', (options, code) => {
    expect(() => redisCache(options as never)).toThrow(
      expect.objectContaining({ code, hint: expect.stringMatching(/./) }) as Error,
    )
  })
})
