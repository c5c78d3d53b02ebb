// What a guard does depends on where the flags live in four things: it reads them, edits them, sees who else
// edits them, and keeps its own notes. So one story of a rollout is played on each place, with the real store of
// the notes and the real lease, in simulated time. README.md says which test covers what.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { flagsActuator } from '../../src/guard/act/actuator.ts'
import { fileLease } from '../../src/guard/act/lease.ts'
import { fileStore } from '../../src/guard/act/state-store.ts'
import { openPlace } from '../../src/cli/places/open-place.ts'
import { currentShare, type FlagsFile, loadFlags, readHistory } from '../../src/rollout/index.ts'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import { addObject, fakeKubernetes } from '../support/kubernetes-api.ts'
import { World } from './world.ts'

const SPLIT = /\["on", \d+\], \["off", \d+\]/
const at = (percent: number): string => `["on", ${percent}], ["off", ${100 - percent}]`
const flags = usual.replace(SPLIT, at(25))

interface Place {
  readonly file: FlagsFile
  readonly directory: string
  /** Somebody edits what is there, with an editor or kubectl. */
  edit(percent: number): Promise<void>
}

async function onFile(): Promise<Place> {
  const directory = await temporaryDirectory()
  const file = join(directory, 'use-redis.json')
  await writeFile(file, flags)
  const edit = async (percent: number): Promise<void> =>
    writeFile(file, (await readFile(file, 'utf8')).replace(SPLIT, at(percent)))
  return { file, directory, edit }
}

async function onConfigMap(): Promise<Place> {
  const api = await fakeKubernetes()
  onTestFinished(() => api[Symbol.asyncDispose]())
  const path = addObject(api, 'ConfigMap', 'flags', { data: { 'use-redis.json': flags } })
  const directory = await temporaryDirectory()
  const named = { name: 'a', cluster: { server: api.url }, user: { token: 'a-token' } }
  const context = { name: 'a', context: { cluster: 'a', user: 'a', namespace: 'shop' } }
  const config = { clusters: [named], users: [named], contexts: [context], 'current-context': 'a' }
  await writeFile(join(directory, 'kubeconfig'), JSON.stringify(config))
  const env = { KUBECONFIG: join(directory, 'kubeconfig'), SWITCHBACK_STATE: directory }
  const of = {
    target: 'configmap/flags',
    flag: 'use-redis',
    namespace: undefined,
    context: undefined,
    env,
  }
  const file = await openPlace({ ...of, findFile: () => Promise.reject(new Error('no file')) })
  const edit = async (percent: number): Promise<void> =>
    api.edit(path, (object) => {
      const data = object['data'] as Record<string, string>
      data['use-redis.json'] = data['use-redis.json']!.replace(SPLIT, at(percent))
    })
  return { file, directory, edit }
}

async function shareAt(file: FlagsFile): Promise<number | undefined> {
  return currentShare(await loadFlags(file), 'use-redis')
}

const worlds: World[] = []
afterEach(() => {
  for (const made of worlds.splice(0)) made.close()
})

test.each([
  ['a file', onFile],
  ['a ConfigMap', onConfigMap],
])(
  'a rollout on %s: a person, two guards, kill -9, resume, another plan, faults',
  async (_, on) => {
    const { file, directory, edit } = await on()
    const notes = (name: string): string => join(directory, `notes.${name}`)
    const made: World = new World(3, 2, {
      actuator: (who) => flagsActuator({ file, flag: 'use-redis', flagd: false, who }),
      store: fileStore(notes('json')),
      lease: (name) => fileLease({ file: notes('lease'), name, now: () => made.now }),
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
