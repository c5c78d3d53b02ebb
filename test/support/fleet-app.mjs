// One process of a fleet: it decides by its flags and says so on /metrics. Its flags are what the
// environment says. Prints its port.
import { createServer } from 'node:http'
import {
  createCacheSwitch,
  createTelemetry,
  flagsFromEnvironment,
  memoryCache,
} from '../../dist/index.mjs'

const flags = await flagsFromEnvironment(process.env)
const telemetry = createTelemetry({ meter: false })
const decider = flags.createDecider({ flag: 'use-redis' })
const cache = createCacheSwitch({ off: memoryCache(), on: memoryCache(), decider, telemetry })
// Asked once, it knows the flag and reports its split.
await cache.for({ targetingKey: 'user-1' }).get('key')

const server = createServer((_, response) => response.end(telemetry.prometheus()))
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
// Its parent is gone.
process.stdin.on('end', () => process.exit()).resume()
