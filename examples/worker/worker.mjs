import { fileURLToPath } from 'node:url'
import { parentPort } from 'node:worker_threads'
import {
  createCacheSwitch,
  fileCache,
  flagsFromEnvironment,
  redisCache,
} from 'openfeature-switchback'

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
})
// There is no user behind these jobs: a stable name for the kind of job moves all of them at once.
const reports = cache.for({ targetingKey: 'job:report' })

parentPort.on('message', async ({ id, customer, stop }) => {
  if (stop) {
    await cache.close()
    await flags.close()
    return parentPort.close()
  }
  const make = async () => ({ id: customer, name: `name of ${customer}` })
  const report = await reports.getOrSet(`report:${customer}`, make, { ttl: '1h' })
  parentPort.postMessage({ id, report })
})
