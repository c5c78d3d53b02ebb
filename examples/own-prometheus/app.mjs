// A service that has metrics of its own, by prom-client: one /metrics for both, on a port for operators.
// `prometheus.yml` beside this file scrapes it, and `rules` are the ready alerts in deploy/prometheus.
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import {
  createCacheSwitch,
  createTelemetry,
  fileCache,
  flagsFromEnvironment,
  redisCache,
  runAs,
} from 'openfeature-switchback'
import { collectDefaultMetrics, Counter, register } from 'prom-client'

collectDefaultMetrics()
const requests = new Counter({ name: 'requests_total', help: 'Requests of this service' })

const telemetry = createTelemetry()
// `flags.json` of the examples, or what the FLAGD_ variables say.
const flags = await flagsFromEnvironment({
  FLAGD_RESOLVER: 'file',
  FLAGD_OFFLINE_FLAG_SOURCE_PATH: fileURLToPath(new URL('../flags.json', import.meta.url)),
  ...process.env,
})
const cache = createCacheSwitch({
  flags,
  flag: 'use-redis',
  off: fileCache({ directory: '.cache' }),
  on: redisCache({ url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' }),
  telemetry,
})

/** Your database. */
const loadUser = async (id) => ({ id, name: `name of ${id}` })

const server = createServer(async ({ url }, response) => {
  requests.inc()
  const id = url.split('/').at(-1)
  const user = await runAs(id, () =>
    cache.getOrSet(`user:${id}`, () => loadUser(id), { ttl: '10m' }),
  )
  response.end(JSON.stringify(user))
})
// Two expositions, one after the other, are one exposition: no name is in both.
const operators = createServer(async (_, response) => {
  response.setHeader('content-type', register.contentType)
  response.end((await register.metrics()) + telemetry.prometheus())
})
operators.listen(Number(process.env.METRICS_PORT ?? 3002), '127.0.0.1', () => {
  console.log(`metrics on http://127.0.0.1:${operators.address().port}/metrics`)
  server.listen(Number(process.env.PORT ?? 3000), () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`)
  })
})

const stop = () => {
  operators.close()
  operators.closeIdleConnections()
  server.close(async () => {
    await cache.close()
    await flags.close()
    telemetry.close()
  })
  server.closeIdleConnections()
}
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
