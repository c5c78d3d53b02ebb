import { fastify } from 'fastify'
import { fileURLToPath } from 'node:url'
import {
  type CacheService,
  createCacheSwitch,
  fileCache,
  flagsFromEnvironment,
  redisCache,
  runAs,
} from 'openfeature-switchback'

interface User {
  readonly id: string
  readonly name: string
}

/** Business code: it knows a cache, and not which side serves. */
class Users {
  readonly #cache: CacheService

  constructor(cache: CacheService) {
    this.#cache = cache
  }

  find(id: string): Promise<User> {
    return this.#cache.getOrSet(`user:${id}`, () => this.#load(id), { ttl: '10m' })
  }

  /** Your database. */
  async #load(id: string): Promise<User> {
    return { id, name: `name of ${id}` }
  }
}

// `flags.json` of the examples, or what the FLAGD_ variables say.
const flags = await flagsFromEnvironment({
  FLAGD_RESOLVER: 'file',
  FLAGD_OFFLINE_FLAG_SOURCE_PATH: fileURLToPath(new URL('../../flags.json', import.meta.url)),
  ...process.env,
})
const cache = createCacheSwitch({
  flags,
  flag: 'use-redis',
  off: fileCache({ directory: '.cache' }),
  on: redisCache({ url: process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379' }),
  onEvent: ({ level, message }) => app.log[level](message),
})
const users = new Users(cache)

const app = fastify({ logger: { level: 'warn' } })
// The user of the request: everything below it, however deep, is decided for this user.
app.addHook('onRequest', (request, _reply, done) => {
  const { id = 'anonymous' } = request.params as { id?: string }
  void runAs(id, async () => done())
})
app.get<{ Params: { id: string } }>('/users/:id', ({ params }) => users.find(params.id))
app.get('/health', () => cache.health())
app.addHook('onClose', async () => {
  await cache.close()
  await flags.close()
})
process.once('SIGTERM', () => void app.close())
process.once('SIGINT', () => void app.close())

console.log(`listening on ${await app.listen({ port: Number(process.env['PORT'] ?? 3000) })}`)
