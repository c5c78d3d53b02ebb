// @needs redis
import { readdirSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import {
  answersPing,
  findProgram,
  freePort,
  provisionRedis,
  supervise,
  type ProvisionedRedis,
  type Supervised,
} from '../../src/cli/provision/index.ts'
import { isReachable } from '../../src/reachable.ts'
import { fakeMachine, until } from './support.ts'

const SERVER = findProgram(['redis-server'], process.env) ?? 'redis-server'

/** A server that answers every connection in its own way. */
async function impostor(greet: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    greet(socket)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function closedAfterTest(redis: Promise<ProvisionedRedis>): Promise<ProvisionedRedis> {
  const provisioned = await redis
  onTestFinished(() => provisioned.close())
  return provisioned
}

const port = (redis: ProvisionedRedis): number => Number(new URL(redis.url ?? '').port)

describe('answersPing', () => {
  let port = 0
  let locked = 0
  let servers: Supervised[] = []
  beforeAll(async () => {
    port = await freePort()
    locked = await freePort()
    servers = [
      supervise({ command: [SERVER, '--port', `${port}`, '--save', ''] }),
      supervise({ command: [SERVER, '--port', `${locked}`, '--save', '', '--requirepass', 'x'] }),
    ]
    const host = '127.0.0.1'
    await until('both listen', async () => {
      return (await isReachable({ host, port })) && isReachable({ host, port: locked })
    })
  })
  afterAll(async () => {
    for (const server of servers) await server.close()
  })

  it('knows a Redis from one that wants a password, and from nothing', async () => {
    expect(await answersPing('127.0.0.1', port)).toBe(true)
    expect(await answersPing('127.0.0.1', locked)).toBe(false)
    expect(await answersPing('127.0.0.1', await freePort())).toBe(false)
  })

  it.each<[string, (socket: Socket) => void]>([
    ['is silent', () => {}],
    ['hangs up', (socket) => void socket.end()],
    ['speaks HTTP', (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
    [
      'drips',
      (socket) => {
        const timer = setInterval(() => socket.write('+'), 20)
        socket.once('close', () => clearInterval(timer))
      },
    ],
  ])('is not taken in by a server that %s', async (_, greet) => {
    expect(await answersPing('127.0.0.1', await impostor(greet), 200)).toBe(false)
  })
})

describe('provisionRedis', () => {
  it('takes REDIS_URL as it is and never shows its password', async () => {
    const redis = await provisionRedis({
      env: { REDIS_URL: 'rediss://app:hunter2@cache.example:6380/1' },
    })
    expect(redis).toMatchObject({
      url: 'rediss://app:hunter2@cache.example:6380/1',
      origin: 'configured',
      detail: 'rediss://app:***@cache.example:6380/1 (REDIS_URL)',
    })
    await redis.close()
  })

  it('spawns the redis-server on PATH, then finds it as the one that runs already', async () => {
    const machine = await fakeMachine()
    await machine.link('redis-server', SERVER)
    const defaultPort = await freePort()
    const spawned = await provisionRedis({ env: machine.env, defaultPort })
    expect(spawned.origin).toBe('spawned')
    expect(await answersPing('127.0.0.1', port(spawned))).toBe(true)

    const found = await provisionRedis({ env: machine.env, defaultPort: port(spawned) })
    expect(found).toMatchObject({ origin: 'found', url: spawned.url })
    await found.close()
    expect(await answersPing('127.0.0.1', port(spawned))).toBe(true)

    await spawned.close()
    expect(await answersPing('127.0.0.1', port(spawned))).toBe(false)
  })

  it('leaves no directory behind, of a Redis that ran or of one that could not', async () => {
    const machine = await fakeMachine()
    vi.stubEnv('TMPDIR', machine.root)
    onTestFinished(() => void vi.unstubAllEnvs())
    const ours = (): string[] => readdirSync(machine.root).filter((name) => name.includes('redis'))
    await machine.link('redis-server', SERVER)
    const redis = await provisionRedis({ env: machine.env, isolated: true })
    expect(ours()).toHaveLength(1)
    await redis.close()
    expect(ours()).toEqual([])

    const env = { PATH: machine.bin, REDIS_SERVER_BIN: '/bin/false' }
    expect(await provisionRedis({ env, isolated: true })).toMatchObject({ origin: 'none' })
    expect(ours()).toEqual([])
  })

  it('installs one where it may', async () => {
    const machine = await fakeMachine()
    await machine.put(
      'apt-get',
      `case "$*" in *" install "*redis-server) /bin/ln -s ${SERVER} ${machine.bin}/redis-server;; esac`,
    )
    const said: string[] = []
    const redis = await closedAfterTest(
      provisionRedis({
        env: machine.env,
        policyFile: machine.policyFile,
        defaultPort: await freePort(),
        root: true,
        say: (line) => said.push(line),
      }),
    )
    expect(redis.origin).toBe('installed')
    expect(said).toHaveLength(1)
    expect(await answersPing('127.0.0.1', port(redis))).toBe(true)
  })

  it('runs a container where there is an engine, and ends it with SIGTERM', async () => {
    const machine = await fakeMachine()
    // `docker run` in the foreground: passes SIGTERM on and ends with its container.
    await machine.put(
      'docker',
      `case "$1" in
  version) echo 28.2.2 ;;
  run)
    echo "$*" >>${machine.root}/log
    port=$(echo "$*" | /bin/sed 's/.*127.0.0.1:\\([0-9]*\\):6379.*/\\1/')
    ${SERVER} --port "$port" --save '' & redis=$!
    trap 'echo term >>${machine.root}/log; kill $redis' TERM
    wait $redis ;;
esac`,
    )
    const redis = await provisionRedis({ env: machine.env, defaultPort: await freePort() })
    expect(redis.origin).toBe('docker')
    expect(await answersPing('127.0.0.1', port(redis))).toBe(true)
    await redis.close()
    const [command, signal] = await machine.log()
    expect(command).toMatch(
      /^run --rm --publish 127\.0\.0\.1:\d+:6379 --read-only .* redis:8-alpine /,
    )
    expect(signal).toBe('term')
    await until('the container ends', async () => !(await answersPing('127.0.0.1', port(redis))))
  })

  it('says why there is none', async () => {
    const machine = await fakeMachine()
    await machine.put('docker', 'echo "Cannot connect to the Docker daemon" >&2; exit 1')
    const defaultPort = await freePort()
    const none = await provisionRedis({ env: machine.env, defaultPort, root: false })
    expect(none).toMatchObject({
      url: undefined,
      origin: 'none',
      detail: 'no redis-server on PATH, and no apt-get to install it',
    })
    await none.close()

    await machine.put('redis-server', 'echo "Bad directive" >&2; exit 1')
    const broken = await provisionRedis({ env: machine.env, defaultPort })
    expect(broken).toMatchObject({
      origin: 'none',
      detail: 'redis-server did not start: Bad directive',
    })
  })

  it('does not touch Docker when installing is forbidden', async () => {
    const machine = await fakeMachine()
    await machine.put('docker', `echo "$*" >>${machine.root}/log`)
    const redis = await provisionRedis({
      env: { ...machine.env, SWITCHBACK_NO_INSTALL: '1' },
      defaultPort: await freePort(),
    })
    expect(redis.origin).toBe('none')
    expect(await machine.log()).toEqual([])
  })
})
