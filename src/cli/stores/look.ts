import { Redis } from 'ioredis'
import {
  parseRedisUrl,
  PLAIN_SPACE,
  prefixOf,
  shownRedisUrl,
  stateNameOf,
} from '../../cache/index.ts'
import { quote, SwitchbackError } from '../../errors.ts'
import { usageError } from '../framework/command.ts'
import { type NamedRedis, optionOf } from './options.ts'

/** What is found in a Redis before a switch opens it, which would begin a state of its own there. */
export interface RedisLook {
  readonly isCluster: boolean
  /** A switch with these settings has used it. Not looked for in a Cluster, where each master has a state. */
  readonly used: boolean
  readonly hasOthers: boolean
}

/** The part of a client that looks for keys. */
interface Scanned {
  scan(cursor: string, count: 'COUNT', keys: number): Promise<[string, string[]]>
}

/** What a switch keeps for itself, under any prefix. */
const OF_A_SWITCH: RegExp = new RegExp(`#state|^${PLAIN_SPACE}`)

export async function lookAtRedis({ url, settings }: NamedRedis): Promise<RedisLook> {
  return connected(url, async (redis) => {
    if (await isClusterNode(redis)) return { isCluster: true, used: true, hasOthers: false }
    // With the commands that its user may use for the cache too. Where it may not: as if it were there.
    const [last] = await redis.hmget(stateNameOf(settings), 'last').catch(() => [''])
    const used = last !== null
    return { isCluster: false, used, hasOthers: !used && (await hasOthers([redis])) }
  })
}

export async function isClusterNode(redis: Redis): Promise<boolean> {
  return /^cluster_enabled:1/m.test(await redis.info('cluster').catch(() => ''))
}

/** Whether there is any key that no switch keeps for itself. */
export async function hasOthers(nodes: readonly Scanned[]): Promise<boolean> {
  for (const node of nodes) {
    let cursor = '0'
    do {
      const [next, names] = await node.scan(cursor, 'COUNT', 500).catch(() => ['0', []] as const)
      if (names.some((name) => !OF_A_SWITCH.test(name))) return true
      cursor = next
    } while (cursor !== '0')
  }
  return false
}

/** Nothing could be copied, and a report of 0 keys would look as if all of it were done. */
export function nothingThere({ side, shown, settings }: NamedRedis, others: boolean): Error {
  const [url, before, values] = (['redis', 'prefix', 'values'] as const).map((name) =>
    optionOf(side, name),
  )
  const plain = settings.values === 'plain'
  const prefix = quote(prefixOf(settings))
  const what = `${shown} has nothing of this switch under the prefix ${prefix}${others ? ', but other keys' : ''}: there is nothing to copy`
  if (plain || !others) {
    const service = `give ${url} and ${before} as the service has them`
    return usageError(
      what,
      `${service}; it has to run with the switch before (switchback migrate enter)`,
    )
  }
  const remedy = `if they are its values (redisCache({ values: 'plain' })), add ${values} plain; else give ${before} as the service has it`
  return usageError(what, remedy)
}

export async function connected<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({
    ...parseRedisUrl(url),
    lazyConnect: true,
    connectTimeout: 2000,
    commandTimeout: 5000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  let refused: Error | undefined
  redis.on('error', (error: Error) => (refused ??= error))
  try {
    await redis.connect()
    return await use(redis)
  } catch (cause) {
    const why = (refused ?? (cause as Error)).message
    throw new SwitchbackError(
      'SB_REDIS_UNREACHABLE',
      `${shownRedisUrl(url)} does not answer: ${why}`,
      {
        cause,
        hint: 'Check the URL and the server: switchback doctor --redis URL',
      },
    )
  } finally {
    redis.disconnect()
  }
}
