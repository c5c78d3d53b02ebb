// What a guard does depends on where the flags live in four things: it reads them, edits them, sees who else
// edits them, and keeps its own notes. So one story of a rollout is played on each place, with the real store of
// the notes and the real lease, in simulated time. README.md says which test covers what.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { flagsActuator } from '../../src/guard/act/actuator.ts'
import { bothLeases, fileLease } from '../../src/guard/act/lease.ts'
import { fileStore } from '../../src/guard/act/state-store.ts'
import { KubernetesApi } from '../../src/cli/kubernetes/kubernetes-api.ts'
import { findCluster } from '../../src/cli/kubernetes/kubeconfig.ts'
import { GuardLease, guardLeasePath } from '../../src/cli/places/guard-lease.ts'
import { openPlace } from '../../src/cli/places/open-place.ts'
import { currentShare, type FlagsFile, loadFlags, readHistory } from '../../src/rollout/index.ts'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import { addObject, fakeKubernetes } from '../support/kubernetes-api.ts'
import { CONFIGMAP } from '../support/kubernetes-calls.ts'
import { kubernetesPrograms, realKubernetes } from '../support/kubernetes-server.ts'
import { type RealParts, World } from './world.ts'

const SPLIT = /\["on", \d+\], \["off", \d+\]/
const at = (percent: number): string => `["on", ${percent}], ["off", ${100 - percent}]`
const flags = usual.replace(SPLIT, at(25))

interface Place {
  readonly file: FlagsFile
  /** Somebody edits what is there, with an editor or kubectl. */
  edit(percent: number): Promise<void>
  /** What a guard keeps and shares. */
  notes(name: string, now: () => number): ReturnType<RealParts['notes']>
}

async function onFile(): Promise<Place> {
  const directory = await temporaryDirectory()
  const file = join(directory, 'use-redis.json')
  await writeFile(file, flags)
  return {
    file,
    edit: async (percent) =>
      writeFile(file, (await readFile(file, 'utf8')).replace(SPLIT, at(percent))),
    notes: (name, now) => ({
      store: fileStore(join(directory, 'notes.json')),
      lease: fileLease({ file: join(directory, 'notes.lease'), name, now }),
    }),
  }
}

/** Each guard is on a machine of its own: nothing but the API is shared. */
async function inCluster(kubeconfig: string, edit: Place['edit']): Promise<Place> {
  const directory = await temporaryDirectory()
  await writeFile(join(directory, 'kubeconfig'), kubeconfig)
  const env = { KUBECONFIG: join(directory, 'kubeconfig'), SWITCHBACK_STATE: directory }
  const of = { flag: 'use-redis', namespace: undefined, context: undefined, env }
  const findFile = (): Promise<never> => Promise.reject(new Error('no file'))
  const file = await openPlace({ ...of, target: 'configmap/switchback-flags', findFile })
  const api = new KubernetesApi({ cluster: await findCluster({ env }), env })
  const path = guardLeasePath({ ...of, namespace: 'switchback', name: 'switchback-flags' })
  let machines = 0
  return {
    file,
    edit,
    notes(name, now) {
      const own = join(directory, `machine-${++machines}`)
      const lease = new GuardLease({ api, path, name, now })
      const local = fileLease({ file: `${own}.lease`, name, now })
      return { store: lease.store(fileStore(own)), lease: bothLeases(lease, local) }
    },
  }
}

async function onConfigMap(): Promise<Place> {
  const api = await fakeKubernetes()
  onTestFinished(() => api[Symbol.asyncDispose]())
  const data = { 'use-redis.json': flags }
  const path = addObject(api, 'ConfigMap', 'switchback-flags', { data }, 'switchback')
  addObject(api, 'Lease', 'switchback-flags-use-redis', {}, 'switchback')
  const named = { name: 'a', cluster: { server: api.url }, user: { token: 'a-token' } }
  const context = { name: 'a', context: { cluster: 'a', user: 'a', namespace: 'switchback' } }
  const config = { clusters: [named], users: [named], contexts: [context], 'current-context': 'a' }
  return inCluster(JSON.stringify(config), async (percent) =>
    api.edit(path, (object) => {
      const texts = object['data'] as Record<string, string>
      texts['use-redis.json'] = texts['use-redis.json']!.replace(SPLIT, at(percent))
    }),
  )
}

/** With the token of the account that deploy/kubernetes-api makes. */
async function onRealApi(): Promise<Place> {
  const server = await realKubernetes()
  onTestFinished(() => server[Symbol.asyncDispose]())
  const name = 'switchback-flags'
  const made = { metadata: { name }, data: { 'use-redis.json': flags } }
  await server.ask('admin', 'POST', CONFIGMAP.slice(0, -name.length - 1), made)
  return inCluster(server.kubeconfig('guard'), async (percent) => {
    const { body } = await server.ask('admin', 'GET', CONFIGMAP)
    const object = body as { data: Record<string, string> }
    object.data['use-redis.json'] = object.data['use-redis.json']!.replace(SPLIT, at(percent))
    expect(await server.ask('admin', 'PUT', CONFIGMAP, object)).toMatchObject({ status: 200 })
  })
}

async function shareAt(file: FlagsFile): Promise<number | undefined> {
  return currentShare(await loadFlags(file), 'use-redis')
}

const worlds: World[] = []
afterEach(() => {
  for (const made of worlds.splice(0)) made.close()
})

const PLACES: readonly (readonly [string, () => Promise<Place>])[] = [
  ['a file', onFile],
  ['a ConfigMap', onConfigMap],
  ...(kubernetesPrograms() === undefined
    ? []
    : [['a ConfigMap of a real API server', onRealApi] as const]),
]

test.each(PLACES)(
  'a rollout on %s: a person, two guards, kill -9, resume, another plan, faults',
  async (_, on) => {
    const { file, edit, notes } = await on()
    const made: World = new World(3, 2, {
      actuator: (who) => flagsActuator({ file, flag: 'use-redis', flagd: false, who }),
      notes: (name) => notes(name, () => made.now),
    })
    worlds.push(made)
    made.percent = 25
    made.perSecond = 400
    const first = made.guard('')
    await made.until(first, ({ phase }) => phase === 'step', 60)
    // A pause of a third of a second, and a replica that is lost, end nothing.
    made.on.failed = 0.3
    await made.run(first, 1)
    made.on.failed = 0.0005
    made.down.add(1)
    await made.run(first, 35)
    made.down.clear()
    expect(first.status.alarms.map(({ code }) => code)).toContain('replica-silent')
    expect(first.status).toMatchObject({ phase: 'step', percent: 25 })
    // A second guard stands by, and goes on with the evidence of one that was killed.
    const second = made.guard('{ hold: 2m }', { name: 'second' })
    expect((await second.tick()).standbyFor).toBe('first')
    made.now += 16_000
    await made.run(second, 2)
    expect(second.status).toMatchObject({ standbyFor: '', phase: 'step', percent: 25 })
    expect(made.find('plan')?.reason).toBe('hold is now 2 min (was 60 s)')
    // Who edits by hand wins; a resume takes over where they left it.
    await edit(30)
    await made.run(second, 2)
    expect(second.status).toMatchObject({ phase: 'yielded', percent: 30 })
    await second.close()
    let acting = made.guard('{ hold: 2m }', { resume: true })
    await made.until(acting, ({ phase }) => phase === 'step', 60)
    expect(acting.status.percent).toBe(30)
    // Whatever is wrong with the new side, everybody goes back, and a resume begins with a step.
    for (const fault of [{ slow: 0.3 }, { failed: 1 }]) {
      Object.assign(made.on, fault)
      await made.until(acting, ({ phase }) => phase === 'rolled back', 90)
      expect([made.percent, await shareAt(file)]).toEqual([0, 0])
      Object.assign(made.on, { slow: 0.001, failed: 0.0005 })
      await acting.close()
      acting = made.guard('{ hold: 2m }', { resume: true, from: 10 })
      await made.until(acting, ({ phase }) => phase === 'step', 60)
    }
    expect(made.changes).toEqual(['0', '10', '0', '10'])
    const lines = (await readHistory(file)).map(({ action, via }) => `${action} ${via}`)
    const again = ['rollback guard', 'set guard']
    expect(lines).toEqual(['outside outside', ...again, ...again])
  },
)
