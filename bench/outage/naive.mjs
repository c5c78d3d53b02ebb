/**
 * What a careful engineer writes in an afternoon: the OpenFeature client with flagd's provider, ioredis
 * and one file a key, each with its defaults.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FlagdProvider } from '@openfeature/flagd-provider'
import { OpenFeature } from '@openfeature/server-sdk'
import { Redis } from 'ioredis'

export async function openNaive({ redisUrl, directory, flagd }) {
  await mkdir(directory, { recursive: true })
  await OpenFeature.setProviderAndWait(
    new FlagdProvider({ host: '127.0.0.1', port: flagd.rpcPort }),
  )
  const client = OpenFeature.getClient()
  const redis = new Redis(redisUrl)
  redis.on('error', () => {})
  const fileOf = (key) => join(directory, encodeURIComponent(key))

  const off = {
    async get(key) {
      try {
        return JSON.parse(await readFile(fileOf(key), 'utf8'))
      } catch {
        return undefined
      }
    },
    set: (key, value) => writeFile(fileOf(key), JSON.stringify(value)),
    delete: (key) => rm(fileOf(key), { force: true }),
  }
  const on = {
    async get(key) {
      const text = await redis.get(key)
      return text === null ? undefined : JSON.parse(text)
    },
    set: (key, value) => redis.set(key, JSON.stringify(value), 'PX', 600_000),
    delete: (key) => redis.del(key),
  }
  const sideOf = async (user) =>
    (await client.getBooleanValue('use-redis', false, { targetingKey: user })) ? on : off

  return {
    async getOrSet(user, key, load) {
      const side = await sideOf(user)
      const found = await side.get(key)
      if (found !== undefined) return found
      const value = await load()
      await side.set(key, value)
      return value
    },
    set: async (user, key, value) => (await sideOf(user)).set(key, value),
    delete: async (user, key) => (await sideOf(user)).delete(key),
    health: () => ({}),
    async close() {
      redis.disconnect()
      await OpenFeature.close()
    },
  }
}
