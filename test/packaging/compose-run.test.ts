// @needs redis
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { answersPing, freePort, redisServer, supervise } from '../../src/cli/provision/index.ts'
import { locateProgram } from '../../src/cli/provision/index.ts'
import { startSidecar } from '../../src/sidecar/index.ts'
import { runCli } from '../app/child.ts'
import { ask } from '../app/support.ts'
import { until } from '../provision/support.ts'
import { composeFile, execForm, finalStage } from './containers.ts'

/**
 * There is no container engine here: the same commands with the same environment, as processes.
 * Service names become this host; flagd is played by the sidecar, on the flags that it would mount.
 */
it('the commands of docker-compose.yml and the Dockerfile run together', async () => {
  const { redis, flagd, app } = composeFile().services
  const directory = mkdtempSync(join(tmpdir(), 'switchback-compose-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const flags = join(directory, 'flags')
  cpSync(flagd?.volumes?.[0]?.source ?? '', flags, { recursive: true })

  const [program, ...args] = redis?.command ?? []
  expect(program).toBe('redis-server')
  const redisPort = await freePort()
  const server = supervise({
    command: [
      locateProgram(redisServer, process.env) ?? '',
      ...args,
      ...`--bind 127.0.0.1 --port ${redisPort} --dir ${directory}`.split(' '),
    ],
  })
  onTestFinished(() => server.close())
  await until('Redis answers', () => answersPing('127.0.0.1', redisPort))

  const sidecar = await startSidecar({
    file: join(flags, 'use-redis.json'),
    ports: { evaluation: 0, management: 0, sync: 0, ofrep: 0 },
  })
  onTestFinished(() => sidecar.close())

  const image = Object.fromEntries(
    finalStage()
      .filter(({ word }) => word === 'ENV')
      .map(({ rest }) => rest.split('=') as [string, string]),
  )
  const [port, metricsPort] = [await freePort(), await freePort()]
  const env = {
    ...image,
    ...app?.environment,
    HOST: '127.0.0.1',
    METRICS_HOST: '127.0.0.1',
    PORT: `${port}`,
    METRICS_PORT: `${metricsPort}`,
    FLAGD_HOST: '127.0.0.1',
    SWITCHBACK_CACHE_DIR: join(directory, 'cache'),
    REDIS_URL:
      app?.environment?.['REDIS_URL']?.replace('redis:6379', `127.0.0.1:${redisPort}`) ?? '',
  }
  // flagd's own sync port, where the sidecar has a free one.
  expect(env).toMatchObject({ FLAGD_PORT: '8015', FLAGD_RESOLVER: 'in-process' })
  const form = (wanted: string): string[] =>
    execForm(finalStage().find(({ word }) => word === wanted)?.rest ?? '')
  expect(form('ENTRYPOINT')).toEqual(['node', '/app/dist/cli/bin.js'])
  const command = form('CMD')
  const child = runCli(command, { ...env, FLAGD_PORT: `${sidecar.ports.sync}` })
  await until('it is healthy', async () => {
    if (child.stderr().startsWith('error:')) throw new Error(child.stderr())
    return (await ask(`http://127.0.0.1:${port}/healthz`).catch(() => undefined))?.status === 200
  })

  const sides = new Set<string | null>()
  for (let i = 0; i < 20; i += 1) {
    const answer = await ask(`http://127.0.0.1:${port}/users/user_${i}`)
    expect(answer).toMatchObject({ status: 200, body: { data: `UserData for user_${i}` } })
    sides.add(answer.side)
  }
  expect(sides).toEqual(new Set(['off', 'on']))
  expect(await ask(`http://127.0.0.1:${port}/readyz`)).toMatchObject({ body: { status: 'ok' } })
  expect(await ask(`http://127.0.0.1:${metricsPort}/metrics`)).toMatchObject({ status: 200 })
  child.kill('SIGTERM')
  expect(await child.ended).toBe(0)
})
