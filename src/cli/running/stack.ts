import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type CacheBackend, fileCache, redisCache } from '../../cache/index.ts'
import { flagsFromEnvironment, type Decider } from '../../flags/index.ts'
import { createCacheSwitch, type CacheSwitch, type SwitchEvent } from '../../switch/index.ts'
import { createTelemetry, type Telemetry } from '../../telemetry/index.ts'
import type { Environment } from '../framework/command.ts'
import { displayPath } from '../framework/format.ts'
import { provisionRedis, type ProvisionedRedis } from '../provision/index.ts'
import { Closers } from './closers.ts'
import { openFlagPlace } from './flag-place.ts'

/** The flag that picks the side. */
export const FLAG = 'use-redis'

/** The part of a logger that the stack uses; pino has it. */
export interface StackLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export interface StackOptions {
  readonly env: Environment
  /** A flags file or a directory of them, for the embedded sidecar. */
  readonly flags: string
  readonly cacheDirectory: string
  /**
   * Ignore a flagd and a Redis that already run on this machine. What the environment names still
   * counts. @default false
   */
  readonly isolated?: boolean
  readonly log: StackLog
  /** Receives one line about each slow step. */
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

export interface Part {
  /** One line for people: what it is and where. */
  readonly detail: string
  /** Whether it answered at the start; it is used as soon as it does. */
  readonly answers: boolean
}

/** A switched cache and all that it depends on. */
export interface Stack {
  readonly cache: CacheSwitch
  readonly decider: Decider
  readonly telemetry: Telemetry
  readonly files: Part
  readonly redis: Part & { readonly url: string | undefined }
  /** `local`: the flags file is served from here, so that editing it moves users. */
  readonly flags: Part & { readonly local: boolean; readonly ofrep: string }
  close(): Promise<void>
}

/** Where Redis is looked for repeatedly when there is none, so that one started later is used. */
const HOPED_FOR_REDIS = 'redis://127.0.0.1:6379'

/** Finds or starts a flag source and a Redis, and puts the switched cache on top. */
export async function openStack(options: StackOptions): Promise<Stack> {
  const { env, isolated = false, log, say, signal } = options
  const closers = new Closers()
  try {
    const place = await openFlagPlace({
      env,
      flags: options.flags,
      isolated,
      onLog: ({ level, message }) => {
        log[level === 'error' ? 'warn' : 'info']({ from: 'sidecar' }, message)
      },
    })
    closers.add(() => place.close())
    const redis = await provisionRedis({ env, isolated, say, signal })
    closers.add(() => redis.close())
    const source = await flagsFromEnvironment(place.env, {
      onEvent: ({ level, message }) => log[level]({ from: 'flags' }, message),
    })
    closers.add(() => source.close())
    const telemetry = createTelemetry()
    closers.add(() => telemetry.close())
    const decider = source.createDecider({ flag: FLAG, feature: 'users' })
    closers.add(() => decider.close())
    const cacheDirectory = directoryBeside(redis, options.cacheDirectory)
    if (cacheDirectory !== options.cacheDirectory) {
      closers.add(() => rm(cacheDirectory, { recursive: true, force: true }))
    }
    const off = fileCache({ directory: cacheDirectory })
    const on = redisCache({ url: redis.url ?? HOPED_FOR_REDIS })
    const cache = createCacheSwitch({
      name: 'users',
      off,
      on,
      decider,
      telemetry,
      onEvent: (event) => logEvent(log, event),
    })
    closers.add(() => cache.close())
    return {
      cache,
      decider,
      telemetry,
      files: { detail: displayPath(cacheDirectory), answers: await answers(off) },
      redis: { url: redis.url, detail: redis.detail, answers: await answers(on) },
      flags: {
        local: place.local,
        ofrep: place.ofrep,
        detail: place.detail ?? source.description,
        answers: decider.health().ok,
      },
      close: () => closers.close(),
    }
  } catch (error) {
    await closers.close()
    throw error
  }
}

/**
 * A Redis that was started for this run ends with it, and no other process of this machine uses it:
 * shared files would outlive it and promise other processes what only it knows.
 */
function directoryBeside(redis: ProvisionedRedis, directory: string): string {
  const own = ['spawned', 'installed', 'docker'].includes(redis.origin)
  const ownPort = own ? new URL(redis.url ?? '').port : ''
  return ownPort === '' ? directory : join(directory, `run-${ownPort}`)
}

const PING_TIMEOUT_MS = 500

async function answers(backend: CacheBackend): Promise<boolean> {
  const deadline = AbortSignal.timeout(PING_TIMEOUT_MS)
  const late = once(deadline, 'abort').then(() => false)
  const ping = async (): Promise<boolean> => {
    await backend.ping()
    return true
  }
  return Promise.race([ping().catch(() => false), late])
}

function logEvent(log: StackLog, event: SwitchEvent): void {
  const { type, level, side, backend, detail } = event
  const code = type === 'warning' ? event.code : undefined
  log[level]({ event: type, side, backend, code }, detail)
}
