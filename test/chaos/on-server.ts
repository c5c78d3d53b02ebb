import { Redis } from 'ioredis'
import type { TestRedis } from '../support/redis-server.ts'

/** A connection to one server, for what needs more than a line of a reply. */
export async function onServer<T>(
  { via }: Pick<TestRedis, 'via'>,
  work: (redis: Redis) => Promise<T>,
): Promise<T> {
  const options = { maxRetriesPerRequest: 0, retryStrategy: () => null }
  const redis =
    typeof via === 'string' ? new Redis(via, options) : new Redis(via, '127.0.0.1', options)
  redis.on('error', () => {})
  try {
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}
