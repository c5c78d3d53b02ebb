import { Redis } from 'ioredis'
import { messageOf } from '../../errors.ts'
import { type DoctorFinding, ok, problem, skipped, warning } from './finding.ts'

const check = 'redis'

/** Redis: reachable, what it does when it is full, and its clock. */
export async function checkRedis(url: string | undefined): Promise<DoctorFinding[]> {
  if (url === undefined) return [skipped(check, 'REDIS_URL is not set; --redis URL names one')]
  const shown = withoutPassword(url)
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 1500,
    commandTimeout: 1500,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  redis.on('error', () => {})
  try {
    await redis.connect()
    const info = await redis.info()
    const [seconds = 0, micros = 0] = (await redis.time()).map(Number)
    const skew = seconds * 1000 + micros / 1000 - Date.now()
    const version = /^(?:valkey|redis)_version:(\S+)/m.exec(info)?.[1] ?? 'unknown'
    return [
      ok(check, `${shown} answers, version ${version}`),
      ...checkMemory(info),
      ...checkClock(skew),
    ]
  } catch (error) {
    const reason = messageOf(error)
    const remedy = /NOAUTH|WRONGPASS/.test(reason)
      ? 'put the password into the URL: redis://:PASSWORD@host:6379'
      : 'start Redis, or name it with REDIS_URL; until then the file side serves everybody'
    return [problem(check, `${shown} does not answer: ${reason}`, remedy)]
  } finally {
    redis.disconnect()
  }
}

function checkMemory(info: string): DoctorFinding[] {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1]
  const limit = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0)
  const name = 'redis memory'
  if (policy === undefined) return []
  if (limit === 0) {
    return [
      warning(
        name,
        'it has no maxmemory: it grows until the system kills it',
        `set maxmemory, and ${choose}`,
      ),
    ]
  }
  const size = `${policy} at ${Math.round(limit / 1_048_576)} MiB`
  if (policy === 'noeviction') {
    return [ok(name, `${size}: nothing is forgotten, but once full it refuses what is written`)]
  }
  return policy.endsWith('-lfu')
    ? [ok(name, size)]
    : [warning(name, `${size}: once full it forgets young deletes`, choose)]
}

/** As docs/production.md reasons: by how many tombstones each policy loses under pressure. */
const choose = 'set maxmemory-policy allkeys-lfu, or noeviction if you can promise room'

function checkClock(skewMs: number): DoctorFinding[] {
  if (Math.abs(skewMs) < 1000) return []
  const direction = skewMs > 0 ? 'ahead of' : 'behind'
  return [
    warning(
      'clock',
      `the clock of Redis is ${(Math.abs(skewMs) / 1000).toFixed(1)} s ${direction} this one`,
      'synchronise the clocks (NTP): entries expire at absolute times',
    ),
  ]
}

function withoutPassword(url: string): string {
  try {
    const parsed = new URL(url)
    parsed.username = ''
    parsed.password = ''
    return parsed.href.replace(/\/$/, '')
  } catch {
    return 'the Redis of REDIS_URL'
  }
}
