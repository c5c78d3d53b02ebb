// @needs redis
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { expect, it, onTestFinished } from 'vitest'
import { freePort } from '../../src/cli/provision/index.ts'
import { type Child, runCli } from '../app/child.ts'
import { ask } from '../app/support.ts'
import { temporaryDirectory, until } from '../provision/support.ts'
import { startRedis } from '../support/redis-server.ts'
import { runCommand } from '../support/run-command.ts'

interface Group {
  readonly sync: number
  readonly ofrep: number
  readonly child: Child
}

/** flagd of the control deployment, played by the sidecar. */
async function serveFlags(file: string, before?: Group): Promise<Group> {
  const child = runCli([
    'sidecar',
    '--json',
    '--file',
    file,
    '--evaluation-port',
    '0',
    '--management-port',
    '0',
    '--sync-port',
    String(before?.sync ?? 0),
    '--ofrep-port',
    String(before?.ofrep ?? 0),
  ])
  await until('the flags are served', () => child.stdout().includes('"ready":true'))
  const line = child
    .stdout()
    .split('\n')
    .find((each) => each.includes('"ready":true'))!
  const { ports } = JSON.parse(line) as { ports: { sync: number; ofrep: number } }
  return { ...ports, child }
}

it('one control group and three apps that hear from it: steps, two controls, and the way back without them', async () => {
  const directory = await temporaryDirectory()
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  const file = join(directory, 'flags', 'use-redis.json')
  cpSync('flags', join(directory, 'flags'), { recursive: true })
  await writeFile(
    join(directory, 'plan.yaml'),
    '{ steps: [1, 50], baselineTime: 1h, interval: 200ms }',
  )
  const { code: back } = await runCommand(['rollback', '--file', file, '--no-flagd', '--json'])
  expect(back).toBe(0)

  let group = await serveFlags(file)
  const apps = await Promise.all(
    [1, 2, 3].map(async (number) => {
      const [port, metrics] = [await freePort(), await freePort()]
      runCli(['start'], {
        SWITCHBACK_NO_INSTALL: '1',
        PORT: `${port}`,
        METRICS_PORT: `${metrics}`,
        FLAGD_HOST: '127.0.0.1',
        FLAGD_PORT: `${group.sync}`,
        FLAGD_RESOLVER: 'in-process',
        REDIS_URL: redis.url,
        SWITCHBACK_CACHE_DIR: join(directory, `cache-${number}`),
      })
      return { url: `http://127.0.0.1:${port}`, metrics: `http://127.0.0.1:${metrics}/metrics` }
    }),
  )
  const healthy = async (url: string): Promise<boolean> =>
    (await ask(`${url}/healthz`).catch(() => undefined))?.status === 200
  for (const { url } of apps) await until(`${url} is healthy`, () => healthy(url))
  const metrics = apps.flatMap((app) => ['--metrics', app.metrics])

  const startControl = (who: string): Child =>
    runCli(
      [
        'control',
        '--json',
        '--file',
        file,
        '--flagd',
        `http://127.0.0.1:${group.ofrep}`,
        '--port',
        '0',
        '--guard',
        'act',
        '--plan',
        join(directory, 'plan.yaml'),
        ...metrics,
      ],
      { SWITCHBACK_WHO: who },
    )
  let control = startControl('control-1')
  /** An order of the command line; its exit code and what it printed. */
  const command = async (...args: string[]): Promise<[number, string]> => {
    const env = { ...process.env, SWITCHBACK_WHO: 'ann@laptop' } as Record<string, string>
    const { code, stdout, stderr } = await runCommand([...args, '--file', file], { env })
    return [code, stdout + stderr]
  }
  const confirmed = (text: string): unknown =>
    (JSON.parse(text.trim().split('\n').at(-1)!) as { processes?: unknown }).processes

  // The guard of the control process takes an order, and every app confirms the step.
  await until('the guard is there', async () => {
    const [code, text] = await command('guard', '--promote')
    if (control.stderr().includes('error:')) throw new Error(control.stderr())
    return code === 0 && text.includes('moves to 1 %')
  })
  await until('every app decides the step', async () => {
    const texts = await Promise.all(apps.map(async (app) => (await fetch(app.metrics)).text()))
    return texts.every((text) => /^switchback_live_split_on\{.*\} 1$/m.test(text))
  })

  // A second control on the same volume stands by, and acts when the first one is stopped.
  const second = startControl('control-2')
  await until('the second one is there', () => second.stdout().includes('"ready":true'))
  control.kill('SIGTERM')
  expect(await control.ended).toBe(0)
  control = second
  await until('the second one acts', async () => {
    const [code, text] = await command('guard', '--status', '--json')
    return code === 0 && (JSON.parse(text) as { name: string }).name === 'guard of control-2'
  })
  const [ordered, answer] = await command('guard', '--promote')
  expect([ordered, answer]).toEqual([0, expect.stringContaining('control-2 moves to 50 %')])
  await until('every app decides the second step', async () => {
    const texts = await Promise.all(apps.map(async (app) => (await fetch(app.metrics)).text()))
    return texts.every((text) => /^switchback_live_split_on\{.*\} 50$/m.test(text))
  })

  // Page and guard are gone: the way back needs neither.
  control.kill('SIGKILL')
  await control.ended
  const flagd = ['--flagd', `http://127.0.0.1:${group.ofrep}`]
  const [code, text] = await command('rollback', ...flagd, ...metrics, '--json')
  expect([code, confirmed(text)]).toEqual([
    0,
    expect.objectContaining({ confirmed: true, known: 3, deciding: 3, lagging: [] }),
  ])

  // The whole group is gone: nobody notices, but nothing can be changed.
  group.child.kill('SIGKILL')
  await group.child.ended
  for (const { url } of apps) {
    const answers = await Promise.all([1, 2, 3].map((user) => ask(`${url}/users/user_${user}`)))
    expect(answers.map(({ status, side }) => [status, side])).toEqual([
      [200, 'off'],
      [200, 'off'],
      [200, 'off'],
    ])
  }
  expect((await command('set', '25', '--yes', ...flagd, ...metrics, '--timeout', '1'))[0]).toBe(3)

  // It comes back on its volume, and every app hears what was changed meanwhile.
  group = await serveFlags(file, group)
  await until('every app decides what the volume says', async () => {
    const [, status] = await command('status', ...flagd, ...metrics, '--json')
    const processes = confirmed(status) as { deciding?: number; confirmed?: boolean }
    return processes?.confirmed === true && processes.deciding === 3
  })
  // Eight processes take their time on a busy machine.
}, 120_000)
