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
  parseTtl,
  redisCache,
  type RedisClient,
  runAs,
  type SwitchEvent,
} from 'openfeature-switchback'
import { type Entry, storageKey } from 'openfeature-switchback/backend'
import { parsePlan } from 'openfeature-switchback/guard'
import { startControl } from 'openfeature-switchback/control'
import { startSidecar } from 'openfeature-switchback/sidecar'
import { evaluationHook } from 'openfeature-switchback/telemetry'
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
  if (isSwitchbackError(error)) console.log(error.code, edit, cases, storageKey('key'))
}

// What cannot work does not compile.
// @ts-expect-error a directory is a text
fileCache({ directory: 7 })
// @ts-expect-error which Redis?
redisCache({})
// @ts-expect-error one of the two
redisCache({ url: 'redis://127.0.0.1:6379', client: {} as RedisClient })
// @ts-expect-error both sides are needed
createCacheSwitch({ flag: 'use-redis', off })
// @ts-expect-error the decider has a flag of its own
createCacheSwitch({ flag: 'another', decider, off, on: off })
// @ts-expect-error a time to live has a unit
await cache.set('key', value, { ttl: '10 minutes' })
await cache.set('key', value, { ttl: parseTtl(process.env['TTL'] ?? '10m') })
// @ts-expect-error what to load?
await cache.getOrSet('key')
const onEvent = (event: SwitchEvent): string => {
  // @ts-expect-error only events of a side have one
  const side: string = event.side
  return event.type === 'side-out' ? event.side : side
}

export const entry: Entry = { payload: '1', expiresAt: 0 }
export const used = [parsePlan, startControl, startSidecar, evaluationHook, onEvent]
