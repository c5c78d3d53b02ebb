import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseRedisUrl } from '../../cache/index.ts'
import { findProgram } from './find-program.ts'
import { isInstallForbidden, obtainProgram, type ObtainOptions } from './obtain-program.ts'
import { answersPing } from './ping.ts'
import { freePort } from './ports.ts'
import { redisServer } from './programs.ts'
import { redisPid } from './redis-pid.ts'
import { lastLine, run } from './run.ts'
import { supervise, type Supervised } from './supervise.ts'

/**
 * Where a Redis came from: `configured` (`REDIS_URL`), `found` (answered on the default port),
 * `spawned` (a program of this machine), `installed` (the same, after apt-get), `docker`, or `none`.
 */
export type RedisOrigin = 'configured' | 'found' | 'spawned' | 'installed' | 'docker' | 'none'

export interface ProvisionedRedis {
  /** `undefined` when there is no Redis. */
  readonly url: string | undefined
  readonly origin: RedisOrigin
  /** One line for people: what was found, or why there is none. Never a password. */
  readonly detail: string
  /** Ends the Redis if it is ours. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export interface ProvisionRedisOptions extends ObtainOptions {
  /** Where a Redis is looked for that nobody named. @default 6379 */
  readonly defaultPort?: number
  /** Ignore a Redis that was not named. @default false */
  readonly isolated?: boolean
}

/** Pinned to the line that the compose file runs. */
const DOCKER_IMAGE = 'redis:8-alpine'

/**
 * A cache to throw away: nothing on disk, bounded; when it is full, what expires goes first, and the state
 * that tells what is to be trusted stays (docs/production.md).
 */
const CACHE_SETTINGS = words(
  '--appendonly no --maxmemory 256mb --maxmemory-policy volatile-lru',
).concat('--save', '')

const START_TIMEOUT_MS = 10_000
const DOCKER_TIMEOUT_MS = 120_000
const POLL_MS = 20
const ATTEMPTS = 3

/**
 * Finds or starts a Redis: `REDIS_URL`; else one that answers on localhost; else `redis-server`
 * from `PATH`, on a free port, ended with us; else the same after installing it, or a container.
 * Never rejects without a Redis: `url` is then `undefined` and `detail` says why.
 *
 * @throws SwitchbackError `SB_REDIS_URL`
 */
export async function provisionRedis(options: ProvisionRedisOptions): Promise<ProvisionedRedis> {
  const { env, defaultPort = 6379, isolated = false, signal } = options
  const configured = env['REDIS_URL'] ?? ''
  if (configured !== '') {
    parseRedisUrl(configured)
    return borrowed(configured, 'configured', `${withoutPassword(configured)} (REDIS_URL)`)
  }
  if (!isolated && (await answersPing('127.0.0.1', defaultPort))) {
    const url = `redis://127.0.0.1:${defaultPort}`
    return borrowed(url, 'found', `${url} (already running)`)
  }
  const program = await obtainProgram(redisServer, options)
  signal?.throwIfAborted()
  if (program.path !== undefined) {
    const origin = program.installed ? 'installed' : 'spawned'
    const how = program.installed ? 'installed, started for this run' : 'started for this run'
    return start(origin, how, START_TIMEOUT_MS, (port, directory) =>
      supervise({
        command: [
          program.path,
          ...words(`--bind 127.0.0.1 --port ${port}`),
          '--dir',
          directory,
          ...CACHE_SETTINGS,
        ],
        directory,
      }),
    )
  }
  return (await inDocker(options)) ?? none(program.reason)
}

async function inDocker(options: ProvisionRedisOptions): Promise<ProvisionedRedis | undefined> {
  const { env, say } = options
  const docker = findProgram(['docker'], env)
  if (docker === undefined || isInstallForbidden(env)) return undefined
  // The docker client alone is not enough: it often exists without an engine.
  const engine = await run(docker, ['version', '--format', '{{.Server.Version}}'], {
    timeoutMs: 5000,
    env,
  })
  if (!engine.ok) return undefined
  say?.(`running ${DOCKER_IMAGE} with Docker (SWITCHBACK_NO_INSTALL=1 forbids it)`)
  return start('docker', 'a container for this run', DOCKER_TIMEOUT_MS, (port, directory) =>
    supervise({
      command: [
        docker,
        ...words(`run --rm --publish 127.0.0.1:${port}:6379 --read-only --user 999:1000`),
        ...words('--cap-drop ALL --security-opt no-new-privileges'),
        ...words(`${DOCKER_IMAGE} redis-server --dir /tmp`),
        ...CACHE_SETTINGS,
      ],
      directory,
      // The client passes SIGTERM on to the container; after a SIGKILL it would stay.
      signal: 'TERM',
      env,
    }),
  )
}

/**
 * Starts a server of ours and waits until it answers. Tries again when another process took the
 * port.
 */
async function start(
  origin: RedisOrigin,
  how: string,
  timeoutMs: number,
  spawn: (port: number, directory: string) => Supervised,
): Promise<ProvisionedRedis> {
  let reason = ''
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const directory = await mkdtemp(join(tmpdir(), 'switchback-redis-'))
    const port = await freePort()
    const server = spawn(port, directory)
    const failure = await untilAnswering(server, port, timeoutMs)
    if (failure === undefined) {
      const url = `redis://127.0.0.1:${port}`
      const pid = await redisPid(port)
      const detail = `${url} (${how}${pid === undefined ? '' : `, pid ${pid}`})`
      return { url, origin, detail, ...closing(() => server.close()) }
    }
    await server.close()
    await rm(directory, { recursive: true, force: true })
    reason = failure
    // Only a lost race for the port is retried.
    if (!/in use/i.test(reason)) break
  }
  return none(`redis-server did not start: ${reason}`)
}

/** Resolves to `undefined` once the server answers, else to why it does not. */
async function untilAnswering(
  server: Supervised,
  port: number,
  timeoutMs: number,
): Promise<string | undefined> {
  let ended: string | undefined
  void server.ended.then((output) => (ended = lastLine(output) || 'it ended at once'))
  const deadline = Date.now() + timeoutMs
  while (Date.now() < deadline) {
    if (await answersPing('127.0.0.1', port, 200)) return undefined
    if (ended !== undefined) return ended
    await sleep(POLL_MS)
  }
  return `no answer within ${timeoutMs / 1000} s`
}

function borrowed(url: string, origin: RedisOrigin, detail: string): ProvisionedRedis {
  return { url, origin, detail, ...closing(async () => {}) }
}

function none(reason: string): ProvisionedRedis {
  return { url: undefined, origin: 'none', detail: reason, ...closing(async () => {}) }
}

function closing(close: () => Promise<void>): {
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
} {
  return { close, [Symbol.asyncDispose]: close }
}

function words(line: string): string[] {
  return line.split(' ')
}

/** A valid URL, fit for a terminal and a log. */
function withoutPassword(url: string): string {
  const parsed = new URL(url)
  if (parsed.password !== '') parsed.password = '***'
  return parsed.href.replace(/\/$/, '')
}
