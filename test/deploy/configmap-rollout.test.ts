// A rollout on a ConfigMap from end to end: the API, a kubelet that is late, the flagd of a pod, an app.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { startSidecar } from '../../src/sidecar/index.ts'
import { switchback } from '../cli/support.ts'
import { deploy } from '../guard/deployment.ts'
import { guardRunner } from '../guard/run-guard.ts'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import {
  addObject,
  type FakeKubernetes,
  fakeKubernetes,
  project,
} from '../support/kubernetes-api.ts'
import { until } from '../support/until.ts'

interface Cluster {
  readonly api: FakeKubernetes
  readonly path: string
  readonly env: Readonly<Record<string, string>>
  readonly directory: string
  /** The text in the ConfigMap. */
  text(): string
}

async function cluster(text: string): Promise<Cluster> {
  const api = await fakeKubernetes()
  onTestFinished(() => api[Symbol.asyncDispose]())
  const path = addObject(api, 'ConfigMap', 'flags', { data: { 'use-redis.json': text } })
  addObject(api, 'Lease', 'flags-use-redis', {})
  const directory = await temporaryDirectory()
  const kubeconfig = join(directory, 'kubeconfig')
  const context = { name: 'a', context: { cluster: 'a', user: 'a', namespace: 'shop' } }
  await writeFile(
    kubeconfig,
    JSON.stringify({
      'current-context': 'a',
      contexts: [context],
      clusters: [{ name: 'a', cluster: { server: api.url } }],
      users: [{ name: 'a', user: { token: 'a-token' } }],
    }),
  )
  const env = {
    KUBECONFIG: kubeconfig,
    SWITCHBACK_TARGET: 'configmap/flags',
    SWITCHBACK_STATE: directory,
  }
  return { api, path, env, directory, text: () => api.data(path)['use-redis.json']! }
}

/** Looks now and then, as a kubelet does, and writes what is new. Ends with the test. */
function kubelet(
  text: () => string,
  write: (text: string) => Promise<void>,
  everyMs: number,
): void {
  let seen = text()
  let writing: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    if (text() === seen) return
    seen = text()
    writing = writing.then(() => write(seen))
  }, everyMs)
  onTestFinished(async () => {
    clearInterval(timer)
    await writing
  })
}

test('set and rollback on a ConfigMap that a pod mounts, confirmed by the process in it', async () => {
  const shop = await cluster(usual)
  const mount = join(shop.directory, 'mount')
  await mkdir(mount)
  await project(mount, shop.api.data(shop.path))
  const sidecar = await startSidecar({
    file: join(mount, 'use-redis.json'),
    ports: { evaluation: 0, management: 0, sync: 0, ofrep: 0 },
  })
  onTestFinished(() => sidecar.close())
  const app: ChildProcess = spawn(process.execPath, ['test/support/fleet-app.mjs'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      FLAGD_HOST: '127.0.0.1',
      FLAGD_PORT: String(sidecar.ports.sync),
      FLAGD_RESOLVER: 'in-process',
      FLAGD_DEADLINE_MS: '30000',
    },
  })
  onTestFinished(() => void app.kill('SIGKILL'))
  const [port] = await once(createInterface(app.stdout!), 'line')
  const metrics = `http://127.0.0.1:${port}/metrics`
  kubelet(shop.text, () => project(mount, shop.api.data(shop.path)), 300)
  // A second swap of the link is seen as the first one, and the way back is the third.
  for (const argv of [['set', '50', '--yes'], ['set', '75', '--yes'], ['rollback']]) {
    const { code, stdout, stderr } = await switchback([...argv, '--metrics', metrics], {
      env: shop.env,
    })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/1 of 1 process after [\d.,]+ ms/)
  }
  expect(shop.text()).toContain('["on", 0], ["off", 100]')
  const status = await switchback(['status', '--metrics', metrics], { env: shop.env })
  expect(status.stdout).toContain('1 of 1 process decides what the file says')
}, 120_000)

test('the guard rolls a ConfigMap back, and another process reads its view and the history', async () => {
  const deployment = await deploy(0)
  const { file } = deployment
  const shop = await cluster(usual.replace('10], ["off", 90]', '0], ["off", 100]'))
  kubelet(
    shop.text,
    async (text) => {
      await writeFile(`${file}.new`, text)
      await rename(`${file}.new`, file)
    },
    100,
  )
  const plan = join(shop.directory, 'rollout.yaml')
  await writeFile(plan, deployment.plan)
  const run = guardRunner({ ...shop.env, SWITCHBACK_WHO: 'ann@test' })
  const signal = AbortSignal.timeout(100_000)
  let seen: Promise<{ code: number; stdout: string }> | undefined
  const { code, stdout, stderr } = await run(
    ['--plan', plan, '--until-done', '--json'],
    (text) => {
      if (!text.includes('"to":10')) return
      seen ??= until('its view', async () => (await run(['--status'])).code === 0).then(() => {
        const told = run(['--status'])
        deployment.errors = 0.3
        return told
      })
    },
    signal,
  )
  expect([code, stderr]).toEqual([1, ''])
  const entries = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { action: string; to: number })
  expect(entries.map(({ action }) => action)).toEqual(
    expect.arrayContaining(['start', 'advance', 'rollback', 'stop']),
  )
  expect(entries.some(({ action }) => action === 'alarm')).toBe(false)
  expect((await seen!).stdout).toContain('ann@test')
  expect(shop.text()).toContain('["on", 0], ["off", 100]')
  const history = await switchback(['history', '--json'], { env: shop.env })
  const lines = (JSON.parse(history.stdout) as { entries: { action: string; via: string }[] })
    .entries
  expect(lines.map(({ action, via }) => [action, via])).toEqual([
    ['rollback', 'guard'],
    ['set', 'guard'],
  ])
}, 120_000)
