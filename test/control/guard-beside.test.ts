import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { guardBeside } from '../../src/cli/controlling/guard-beside.ts'
import { guardFiles, parsePlan } from '../../src/guard/index.ts'
import { deploy } from '../guard/deployment.ts'
import { openPlace } from '../../src/cli/places/open-place.ts'
import { GuardLease, guardLeasePath } from '../../src/cli/places/guard-lease.ts'
import { KubernetesApi } from '../../src/cli/kubernetes/kubernetes-api.ts'
import { findCluster } from '../../src/cli/kubernetes/kubeconfig.ts'
import { addObject, fakeKubernetes } from '../support/kubernetes-api.ts'
import { until } from '../support/until.ts'

test('a page whose guard only watches shows the one that acts beside the same file, while it is heard', async () => {
  const { file, plan } = await deploy(10)
  const stop = new AbortController()
  const guard = guardBeside({
    mode: 'watch',
    plan: parsePlan(plan),
    target: { flag: 'use-redis', file, flagd: false },
    name: 'guard of page@host',
    signal: stop.signal,
    say: () => {},
  })
  await until('its own view', () => guard.read().mode === 'advising')
  const tell = async (at: number): Promise<void> => {
    const summary = { ...guard.read(), mode: 'acting', sentence: 'waits for failed 0 of 193', at }
    const status = { flag: 'use-redis', name: 'guard of ann@host', summary }
    await writeFile(guardFiles(file, 'use-redis').status, JSON.stringify(status))
  }
  await tell(Date.now() + 60_000)
  await until('the one that acts', () => guard.read().elsewhere === 'guard of ann@host')
  expect(guard.read()).toMatchObject({ mode: 'acting', sentence: 'waits for failed 0 of 193' })
  await tell(Date.now() - 60_000)
  await until('its own view again', () => guard.read().elsewhere === undefined)
  expect(guard.read().mode).toBe('advising')
  stop.abort()
  await guard.done
})

test.each(['watch', 'ask'] as const)(
  'a page (--guard %s) shows the guard that acts on another machine, by its Lease',
  async (mode) => {
    const { file: flags, plan } = await deploy(10)
    const directory = dirname(flags)
    const text = await readFile(flags, 'utf8')
    const api = await fakeKubernetes()
    onTestFinished(() => api[Symbol.asyncDispose]())
    addObject(api, 'ConfigMap', 'flags', { data: { 'use-redis.json': text } })
    addObject(api, 'Lease', 'flags-use-redis', {})
    const named = { name: 'a', cluster: { server: api.url }, user: { token: 'a-token' } }
    const context = { name: 'a', context: { cluster: 'a', user: 'a', namespace: 'shop' } }
    const config = { clusters: [named], users: [named], contexts: [context] }
    await writeFile(
      join(directory, 'kubeconfig'),
      JSON.stringify({ ...config, 'current-context': 'a' }),
    )
    const env = { KUBECONFIG: join(directory, 'kubeconfig'), SWITCHBACK_STATE: directory }
    const of = { flag: 'use-redis', namespace: undefined, context: undefined, env }
    const findFile = (): Promise<never> => Promise.reject(new Error('no file'))
    const file = await openPlace({ ...of, target: 'configmap/flags', findFile })
    let now = 0
    const acting = new GuardLease({
      api: new KubernetesApi({ cluster: await findCluster({ env }), env }),
      path: guardLeasePath({ namespace: 'shop', name: 'flags', flag: 'use-redis' }),
      name: 'guard of ann@host',
      now: () => now,
    })
    expect(await acting.hold()).toBe('')

    const stop = new AbortController()
    const guard = guardBeside({
      mode,
      plan: parsePlan(plan),
      target: { flag: 'use-redis', file, flagd: false },
      name: 'guard of page@host',
      env,
      signal: stop.signal,
      say: () => {},
    })
    const own = mode === 'watch' ? 'advising' : 'standby'
    await until('its own view', () => guard.read().mode === own)
    // The other machine's clock is a day behind.
    const at = Date.now() - 86_400_000
    const summary = { ...guard.read(), mode: 'acting', sentence: 'waits for failed 0 of 193', at }
    acting.publish({ flag: 'use-redis', name: 'guard of ann@host', summary: summary as never })
    now += 6000
    expect(await acting.hold()).toBe('')
    await until('the one that acts', () => guard.read().elsewhere === 'guard of ann@host')
    expect(guard.read()).toMatchObject({ mode: 'acting', sentence: 'waits for failed 0 of 193' })
    expect(Date.now() - guard.read().at).toBeLessThan(60_000)
    const order = { kind: 'pause', who: 'ann' } as const
    await expect(guard.order!(order)).rejects.toMatchObject({ code: 'SB_GUARD_ORDER' })

    await acting.release()
    await until('its own view again', () => guard.read().elsewhere === undefined)
    stop.abort()
    await guard.done
  },
)
