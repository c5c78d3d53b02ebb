const { join } = require('node:path')
const express = require('express')
const {
  createCacheSwitch,
  fileCache,
  flagsFromEnvironment,
  redisCache,
  runAs,
} = require('openfeature-switchback')

/** Your database. */
const loadUser = async (id) => ({ id, name: `name of ${id}` })

async function main() {
  // `flags.json` of the examples, or what the FLAGD_ variables say.
  const flags = await flagsFromEnvironment({
    FLAGD_RESOLVER: 'file',
    FLAGD_OFFLINE_FLAG_SOURCE_PATH: join(__dirname, '..', 'flags.json'),
    ...process.env,
  })
  const cache = createCacheSwitch({
    flags,
    flag: 'use-redis',
    off: fileCache({ directory: '.cache' }),
    on: redisCache({ url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' }),
  })

  const app = express()
  // After the authentication, before the routes: everything below is decided for this user.
  app.use((request, _response, next) => runAs(request.get('x-user') ?? 'anonymous', next))
  app.get('/users/:id', async (request, response) => {
    const { id } = request.params
    response.json(await cache.getOrSet(`user:${id}`, () => loadUser(id), { ttl: '10m' }))
  })
  app.get('/health', (_request, response) => response.json(cache.health()))

  const server = app.listen(Number(process.env.PORT ?? 3000), () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`)
  })
  const stop = () => {
    server.close(async () => {
      await cache.close()
      await flags.close()
    })
    server.closeIdleConnections()
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
