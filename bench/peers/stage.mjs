/**
 * What the sections stand on: a Redis and a flagd-compatible sidecar, each a process of its own, flags
 * that split the users in half, and a directory that is removed afterwards.
 */
import { mkdtempSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FlagdProvider } from '@openfeature/flagd-provider'
import { OpenFeature } from '@openfeature/server-sdk'
import {
  createCacheSwitch,
  fileCache,
  flagsFromEnvironment,
  redisCache,
} from '../../dist/index.mjs'
import { startSidecarProcess } from '../outage/sidecar-process.mjs'
import { withRedis } from '../with-redis.mjs'

/** About 1 KiB as JSON. */
export const VALUE = { id: 7, name: 'user_7', text: 'x'.repeat(960), tags: ['a', 'b', 'c'] }
export const FLAG = 'use-redis'
export const TTL = 3_600_000

export const flagsAt = (on) =>
  JSON.stringify({
    flags: {
      [FLAG]: {
        state: 'ENABLED',
        variants: { on: true, off: false },
        defaultVariant: 'off',
        targeting: {
          fractional: [
            ['on', on],
            ['off', 100 - on],
          ],
        },
      },
    },
  })

export async function withStage(run) {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-bench-'))
  const flagsFile = join(directory, 'flags', 'use-redis.json')
  mkdirSync(join(directory, 'flags'))
  const setShare = (on) => {
    writeFileSync(`${flagsFile}.new`, flagsAt(on))
    renameSync(`${flagsFile}.new`, flagsFile)
  }
  setShare(50)
  const sidecar = await startSidecarProcess(flagsFile)
  const closing = []
  try {
    return await withRedis(undefined, (redisUrl, redis) =>
      run({
        directory,
        redisUrl,
        redis,
        sidecar,
        setShare,
        atEnd: (close) => closing.push(close),
      }).finally(async () => {
        for (const close of closing.toReversed()) await close()
        await OpenFeature.close()
      }),
    )
  } finally {
    await sidecar.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** The SDK's client on flagd's provider, as its README sets it up. */
export async function naiveClient({ sidecar }, resolverType) {
  const port = resolverType === 'rpc' ? sidecar.rpcPort : sidecar.syncPort
  const domain = `naive ${resolverType}`
  const provider = new FlagdProvider({ host: '127.0.0.1', port, resolverType })
  await OpenFeature.setProviderAndWait(domain, provider)
  return OpenFeature.getClient(domain)
}

/** Switchback's own set-up of the same flagd. */
export async function flagsSource({ sidecar, atEnd }, resolver) {
  const port = resolver === 'rpc' ? sidecar.rpcPort : sidecar.syncPort
  const source = await flagsFromEnvironment(
    { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: String(port), FLAGD_RESOLVER: resolver },
    { domain: `switchback ${resolver}` },
  )
  atEnd(() => source.close())
  return source
}

/** A switch of files and Redis, and its parts. */
export function openSwitch(stage, { name, decider, telemetry, onEvent }) {
  const off = fileCache({ directory: join(stage.directory, name) })
  const on = redisCache({ url: stage.redisUrl, prefix: `${name}:` })
  const cache = createCacheSwitch({
    flag: FLAG,
    decider,
    off,
    on,
    ...(telemetry === undefined ? {} : { telemetry }),
    ...(onEvent === undefined ? {} : { onEvent }),
  })
  stage.atEnd(() => cache.close())
  return { cache, off, on }
}

/** Users of Redis, whose decisions are remembered throughout: what an evaluation costs is in `decision`. */
export async function knownUsers(stage, count) {
  const source = await flagsSource(stage, 'in-process')
  const decider = source.createDecider({ flag: FLAG, feature: 'users', rememberMs: 3_600_000 })
  stage.atEnd(() => decider.close())
  const users = await usersOf(decider, 'on', count)
  const user = (i) => users[i % count]
  return { decider, users, user, key: (i) => `profile:${user(i).targetingKey}` }
}

/** `count` users whom the flag gave this side, as evaluation contexts. */
export async function usersOf(decider, side, count) {
  const users = []
  for (let i = 0; users.length < count; i += 1) {
    const context = { targetingKey: `user-${String(i).padStart(15, '0')}` }
    if ((await decider.decide(context)).side === side) users.push(context)
  }
  return users
}
