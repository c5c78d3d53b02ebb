// One process of a fleet: it decides by its flags and says so on /metrics. Its flags are what the
// environment says. Prints its port. With a number it plays so many, each with flags, a switch and a port
// of its own.
import { createServer } from 'node:http'
import {
  createCacheSwitch,
  createTelemetry,
  flagsFromEnvironment,
  memoryCache,
} from '../../dist/index.mjs'

async function start() {
  const flags = await flagsFromEnvironment(process.env)
  const telemetry = createTelemetry({ meter: false })
  const decider = flags.createDecider({ flag: 'use-redis' })
  const cache = createCacheSwitch({ off: memoryCache(), on: memoryCache(), decider, telemetry })
  // Asked once, it knows the flag and reports its split.
  await cache.for({ targetingKey: 'user-1' }).get('key')

  const server = createServer((_, response) => response.end(telemetry.prometheus()))
  server.listen(0, '127.0.0.1', () => console.log(server.address().port))
}

await Promise.all(Array.from({ length: Number(process.argv[2] ?? 1) }, start))
// Its parent is gone.
process.stdin.on('end', () => process.exit()).resume()
