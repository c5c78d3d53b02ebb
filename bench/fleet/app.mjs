// One app process of the fleet of main.ts: a cache behind a switch whose flags are what the environment says.
// Prints its port; then, at each change of the flags, which side one user has and when that was decided
// (epoch ms). FLEET_TRAFFIC: operations per second that it does besides.
import { createServer } from 'node:http'
import {
  createCacheSwitch,
  createTelemetry,
  flagsFromEnvironment,
  memoryCache,
} from '../../dist/index.mjs'

const USER = { targetingKey: process.argv[2] }
const flags = await flagsFromEnvironment(process.env)
const telemetry = createTelemetry({ meter: false })
const decider = flags.createDecider({ flag: 'use-redis' })
const cache = createCacheSwitch({ off: memoryCache(), on: memoryCache(), decider, telemetry })
await cache.for(USER).get('key')

flags.client().addHandler('PROVIDER_CONFIGURATION_CHANGED', async () => {
  const { side } = await decider.decide(USER)
  console.log(JSON.stringify({ side, at: performance.timeOrigin + performance.now() }))
})
const traffic = Number(process.env.FLEET_TRAFFIC ?? 0)
if (traffic > 0) {
  let user = 0
  setInterval(() => {
    const view = cache.for({ targetingKey: `user-${user++ % 500}` })
    void view.get('key').then(() => view.set('key', 'value'))
  }, 2000 / traffic)
}

const server = createServer((_, response) => response.end(telemetry.prometheus()))
server.listen(3002, '0.0.0.0', () => console.log('ready'))
// Its parent is gone.
process.stdin.on('end', () => process.exit()).resume()
