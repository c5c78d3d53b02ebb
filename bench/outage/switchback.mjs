import {
  createCacheSwitch,
  createTelemetry,
  fileCache,
  flagsFromEnvironment,
  redisCache,
} from '../../dist/index.mjs'

export async function openSwitchback({ redisUrl, directory, flagd }) {
  const provider = await flagsFromEnvironment({
    FLAGD_HOST: '127.0.0.1',
    FLAGD_PORT: String(flagd.rpcPort),
    FLAGD_RESOLVER: 'rpc',
  })
  const decider = provider.createDecider({ flag: 'use-redis', feature: 'users' })
  const cache = createCacheSwitch({
    flag: 'use-redis',
    name: 'users',
    decider,
    off: fileCache({ directory }),
    on: redisCache({ url: redisUrl }),
    telemetry: createTelemetry(),
  })
  return {
    getOrSet: (user, key, load) =>
      cache.for({ targetingKey: user }).getOrSet(key, load, { ttl: 600_000 }),
    set: (user, key, value) => cache.for({ targetingKey: user }).set(key, value, { ttl: 600_000 }),
    delete: (user, key) => cache.for({ targetingKey: user }).delete(key),
    health: () => cache.health(),
    async close() {
      await cache.close()
      await decider.close()
      await provider.close()
    },
  }
}
