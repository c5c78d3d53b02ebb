import { OpenFeature, type Provider } from '@openfeature/server-sdk'
import {
  type CacheBackend,
  type CacheSwitch,
  createCacheSwitch,
  createDecider,
  createTelemetry,
  fileCache,
  FileProvider,
  flagsFromEnvironment,
  isSwitchbackError,
  redisCache,
  runAs,
} from 'openfeature-switchback'
import { readFlags, setShare } from 'openfeature-switchback/rollout'
import { backendConformance } from 'openfeature-switchback/testing'

const provider: Provider = new FileProvider({ path: 'flags.json' })
await OpenFeature.setProviderAndWait('cache', provider)
const decider = createDecider({ flag: 'use-redis', client: OpenFeature.getClient('cache') })
const off: CacheBackend = fileCache({ directory: '.cache' })
const cache: CacheSwitch = createCacheSwitch({
  decider,
  off,
  on: redisCache({ url: 'redis://127.0.0.1:6379' }),
  telemetry: createTelemetry({ meter: false }),
})
const value: string = await cache
  .for({ targetingKey: 'user-7', plan: 'pro' })
  .getOrSet('key', () => 'value', { ttl: '10m' })
await runAs('user-7', () => cache.set('key', value))
await using flags = await flagsFromEnvironment(process.env)
flags.createDecider({ flag: 'use-redis' })
const edit = setShare(readFlags('{"flags":{}}'), { flag: 'use-redis', percent: 10 })
const cases: readonly { name: string; run(): Promise<void> }[] = backendConformance(() => off)
try {
  await cache.close()
} catch (error) {
  if (isSwitchbackError(error)) console.log(error.code, edit, cases)
}
// @ts-expect-error a directory is a text
fileCache({ directory: 7 })
