// An application with a switched cache, as a process: traffic of a hundred users, /metrics, /readyz, and
// /sides, which says who goes to the new side. Its flags are what the environment says.
import { createServer } from 'node:http'
import {
  createCacheSwitch,
  createTelemetry,
  fileCache,
  flagsFromEnvironment,
  memoryCache,
} from '../../dist/index.mjs'
import { readinessOf } from '../../build/app/http/readiness.js'

const directory = process.argv[2]
const users = Array.from({ length: 100 }, (_, index) => `user-${index}`)
const flags = await flagsFromEnvironment(process.env)
const telemetry = createTelemetry({ meter: false })
const decider = flags.createDecider({ flag: 'use-redis' })
const cache = createCacheSwitch({
  off: fileCache({ directory }),
  on: memoryCache(),
  decider,
  telemetry,
})

let next = 0
setInterval(() => {
  const user = users[next++ % users.length]
  void cache.for({ targetingKey: user }).getOrSet(`profile:${user}`, () => 'x', { ttl: '1m' })
}, 100)

async function sides() {
  // One after the other: on a busy machine some of a hundred at once are answered too late, and keep their side.
  const found = []
  for (const targetingKey of users) found.push((await decider.decide({ targetingKey })).side)
  return found
}

const server = createServer(async ({ url }, response) => {
  const body =
    url === '/metrics'
      ? telemetry.prometheus()
      : JSON.stringify(url === '/readyz' ? readinessOf(cache.health()) : await sides())
  response.end(body)
})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
