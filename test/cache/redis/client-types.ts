// What the packages themselves call their clients is taken as it is: the compiler runs this test. Where one of
// them is not installed, it has nothing to say about it.
// @ts-ignore
import { createClient, createCluster, createSentinel } from 'redis'
// @ts-ignore
import * as five from 'redis-5'
// @ts-ignore
import { GlideClient } from '@valkey/valkey-glide'
import { Cluster, Redis } from 'ioredis'
import { redisCache } from '../../../src/cache/index.ts'

export async function everyClient(): Promise<void> {
  const sentinel = { name: 'x', sentinelRootNodes: [] }
  redisCache({ client: createClient() })
  redisCache({ client: await createClient({ RESP: 2 }).connect() })
  redisCache({ client: createClient().withTypeMapping({ 36: Buffer }) })
  redisCache({ client: createCluster({ rootNodes: [] }) })
  redisCache({ client: createSentinel(sentinel) })
  redisCache({ client: five.createClient() })
  redisCache({ client: five.createCluster({ rootNodes: [] }) })
  redisCache({ client: five.createSentinel(sentinel) })
  redisCache({ client: await GlideClient.createClient({ addresses: [] }) })
  redisCache({ client: new Redis() })
  redisCache({ client: new Cluster([]) })
  // @ts-expect-error none of them
  redisCache({ client: new Map() })
}
