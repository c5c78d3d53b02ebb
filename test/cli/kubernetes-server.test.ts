// The small server of the other tests answers as a real API server did, and the same stories run on a real one where
// KUBE_APISERVER_BIN and ETCD_BIN name it. `KUBERNETES_RECORD=1` writes its answers down again.
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { KubernetesApi } from '../../src/cli/kubernetes/kubernetes-api.ts'
import { findCluster } from '../../src/cli/kubernetes/kubeconfig.ts'
import { GuardLease, guardLeasePath } from '../../src/cli/places/guard-lease.ts'
import { usual } from '../rollout/support.ts'
import { fakeProcess } from '../support/fake-process.ts'
import { addObject, fakeKubernetes } from '../support/kubernetes-api.ts'
import {
  type Ask,
  BEFORE_THE_KIND,
  CALLS,
  CONFIGMAP,
  FEATUREFLAG,
  LEASE,
  OBJECTS,
  play,
} from '../support/kubernetes-calls.ts'
import {
  type Answered,
  featureFlagKind,
  kubernetesPrograms,
  realKubernetes,
  type RealKubernetes,
} from '../support/kubernetes-server.ts'
import { type Ended, jsonOf, runCommand } from '../support/run-command.ts'
import { until } from '../support/until.ts'

const RECORDED = new URL('kubernetes-answers.json', import.meta.url)
const NAME = 'switchback-flags'
const { flags } = JSON.parse(usual) as { flags: object }

type Answers = Readonly<Record<string, Answered>>

it('the small server answers as a real one does', async () => {
  const fake = await fakeKubernetes({ featureFlags: false })
  onTestFinished(() => fake[Symbol.asyncDispose]())
  const other = await fakeKubernetes()
  onTestFinished(() => other[Symbol.asyncDispose]())
  for (const { kind, body } of OBJECTS) addObject(other, kind, NAME, body, 'switchback')
  addObject(other, 'Lease', `${NAME}-use-redis`, {}, 'switchback')
  const asked =
    (server: typeof fake): Ask =>
    async ({ as, method, path }, body) => {
      const guard = as !== 'admin'
      server.rights = new Set(guard ? ['get', 'update'] : ['get', 'update', 'list', 'create'])
      server.names = guard ? new Set([NAME, `${NAME}-use-redis`]) : undefined
      const answer = await fetch(server.url + path, {
        method,
        headers: { authorization: `Bearer ${as === 'nobody' ? 'wrong' : server.token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await answer.text()
      const json = answer.headers.get('content-type')?.startsWith('application/json') === true
      return { status: answer.status, body: json ? JSON.parse(text) : text }
    }
  const recorded = JSON.parse(readFileSync(RECORDED, 'utf8')) as Answers
  const answers = {
    ...(await play(asked(fake), BEFORE_THE_KIND)),
    ...(await play(asked(other), CALLS)),
  }
  for (const [name, answer] of Object.entries(recorded)) {
    expect({ name, ...answers[name] }).toEqual({ name, ...answer })
  }
  expect(Object.keys(answers)).toEqual(Object.keys(recorded))
})

describe.skipIf(kubernetesPrograms() === undefined)('a real API server', () => {
  let server: RealKubernetes
  let directory: string

  beforeAll(async () => {
    server = await realKubernetes()
    directory = await mkdtemp(join(tmpdir(), 'kubernetes-server-'))
    await writeFile(join(directory, 'guard'), server.kubeconfig('guard'))
    await writeFile(join(directory, 'admin'), server.kubeconfig('admin'))
  }, 120_000)
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  const make = async (path: string, object: unknown): Promise<void> => {
    await server.ask('admin', 'DELETE', path)
    const collection = path.slice(0, path.lastIndexOf('/'))
    const { status, body } = await server.ask('admin', 'POST', collection, object)
    expect([status, body]).toEqual([201, expect.anything()])
  }
  const remake = async (): Promise<void> => {
    await make(CONFIGMAP, { metadata: { name: NAME }, data: { 'use-redis.json': usual } })
    await make(FEATUREFLAG, {
      apiVersion: 'core.openfeature.dev/v1beta1',
      kind: 'FeatureFlag',
      metadata: { name: NAME },
      spec: { flagSpec: { flags } },
    })
  }
  interface Person {
    run(argv: readonly string[], env?: Record<string, string>): Promise<Ended>
    json(argv: readonly string[]): Promise<Record<string, any>>
  }
  const person = (target: string, who = 'ann@test', as: 'admin' | 'guard' = 'guard'): Person => {
    const env = {
      KUBECONFIG: join(directory, as),
      SWITCHBACK_TARGET: `${target}/${NAME}`,
      SWITCHBACK_STATE: directory,
      SWITCHBACK_WHO: who,
    }
    const run: Person['run'] = (argv, more = {}) => runCommand(argv, { env: { ...env, ...more } })
    return { run, json: (argv) => jsonOf(run([...argv, '--json'])) }
  }

  it('answers as it was recorded', async () => {
    const ask: Ask = ({ as, method, path }, body) => server.ask(as, method, path, body)
    const before = await play(ask, BEFORE_THE_KIND)
    const kinds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
    expect(await server.ask('admin', 'POST', kinds, featureFlagKind)).toMatchObject({ status: 201 })
    for (const { kind, path, body } of OBJECTS) {
      const collection = path.slice(0, path.lastIndexOf('/'))
      const apiVersion = kind === 'ConfigMap' ? 'v1' : 'core.openfeature.dev/v1beta1'
      const metadata = { name: NAME, labels: { team: 'shop' } }
      await until(`a ${kind} is made`, async () => {
        const object = { apiVersion, kind, metadata, ...body }
        return (await server.ask('admin', 'POST', collection, object)).status === 201
      })
    }
    const answers = { ...before, ...(await play(ask, CALLS)) }
    if (process.env['KUBERNETES_RECORD'] === '1') {
      writeFileSync(RECORDED, `${JSON.stringify(answers, undefined, 2)}\n`)
    }
    expect(answers).toEqual(JSON.parse(readFileSync(RECORDED, 'utf8')))
  }, 60_000)

  it.each(['configmap', 'featureflag'])(
    '--target %s with the shipped Role: set, pilot, undo, rollback, history, an edit by hand',
    async (target) => {
      await remake()
      const { run, json } = person(target)
      expect(await json(['status'])).toMatchObject({ ok: true, share: 10 })
      const set = await json(['set', '25', '--yes', '--reason', 'first step'])
      expect(set).toMatchObject({ ok: true, from: 10, to: 25, written: true })
      await json(['pilot', '--yes', '--attribute', 'plan', '--in', 'beta'])
      expect(await json(['status'])).toMatchObject({ share: 25, shape: 'segment first' })
      await json(['undo', '--yes'])
      const path = target === 'configmap' ? CONFIGMAP : FEATUREFLAG
      const { body } = await server.ask('admin', 'GET', path)
      const object = JSON.parse(
        JSON.stringify(body).replace(/(on\W+)25(\W+off\W+)75/, '$170$230'),
      ) as { metadata: object }
      expect(await server.ask('admin', 'PUT', path, object)).toMatchObject({ status: 200 })
      expect((await run(['status'])).stdout).toContain('by hand: 25 % -> 70 %')
      expect(await json(['rollback'])).toMatchObject({ from: 70, to: 0, written: true })
      const { entries } = await json(['history'])
      const actions = entries.map(({ action }: { action: string }) => action)
      expect(actions).toEqual(['rollback', 'outside', 'undo', 'pilot', 'set'])
      for (const [index, { before }] of entries.slice(0, -1).entries()) {
        expect(before).toBe(entries[index + 1].after)
      }
      const found = await server.ask('admin', 'GET', path)
      const { annotations } = (found.body as { metadata: { annotations: object } }).metadata
      expect(Object.keys(annotations)).toContain('openfeature-switchback/history')
    },
  )

  it.each(['configmap', 'featureflag'])(
    '--target %s: six people at once, and none of their changes is lost unseen',
    async (target) => {
      await remake()
      const shares = [21, 22, 23, 24, 26, 27]
      const ended = await Promise.all(
        shares.map((share) =>
          person(target, `person-${share}`).run(['set', `${share}`, '--yes', '--json']),
        ),
      )
      const { entries } = await person(target).json(['history'])
      const written = entries.map(({ who }: { who: string }) => who).toSorted()
      const told = shares
        .filter((_, index) => ended[index]!.code === 0)
        .map((share) => `person-${share}`)
      expect(written).toEqual(told.toSorted())
      for (const { code, stderr } of ended) {
        if (code !== 0) expect(stderr).toContain('changed by somebody else')
      }
      for (const [index, { before }] of entries.slice(0, -1).entries()) {
        expect(before).toBe(entries[index + 1].after)
      }
      // Who takes everybody back is not outrun by others who edit.
      const others = [31, 32, 33, 34].map((share) =>
        person(target).run(['set', `${share}`, '--yes']),
      )
      const back = await person(target, 'bob@test').json(['rollback'])
      await Promise.all(others)
      expect(back).toMatchObject({ ok: true, to: 0, written: true })
    },
  )

  it('a server that is killed amid changes: each that was told as written is there, once', async () => {
    await remake()
    const { run, json } = person('configmap')
    let killed = false
    const told: string[] = []
    const unsure: string[] = []
    const changes = (async () => {
      for (let share = 40; share < 60; share++) {
        const { code, stderr } = await run(['set', `${share}`, '--yes', '--reason', `to ${share}`])
        if (code === 0) told.push(`to ${share}`)
        else {
          // Until it has read the Roles a server that starts answers 403.
          expect(stderr).toMatch(/is not there|may have been written|\(403\).*has just started/s)
          unsure.push(`to ${share}`)
        }
        if (share === 44) {
          killed = true
          void server.kill()
        }
      }
    })()
    await until('it is killed', () => killed)
    const lost = await run(['rollback'])
    expect([lost.code, lost.stderr]).toEqual([1, expect.stringContaining('is not there')])
    await server.start()
    await changes
    expect(await json(['rollback'])).toMatchObject({ written: true, to: 0 })
    const { entries } = await json(['history'])
    const reasons = entries.map(({ reason = '' }: { reason?: string }) => reason)
    for (const each of told) expect(reasons.filter((one: string) => one === each)).toEqual([each])
    for (const each of unsure) {
      expect(reasons.filter((one: string) => one === each).length).toBeLessThan(2)
    }
  }, 120_000)

  it('a right that is missing is named, and a guard without it ends at the start', async () => {
    await remake()
    const { run } = person('configmap')
    const other = await run(['set', '20', '--yes', '--target', 'configmap/another'])
    expect(other.code).toBe(1)
    expect(other.stderr).toMatch(/403.*cannot get resource "configmaps"/)
    const role = '/apis/rbac.authorization.k8s.io/v1/namespaces/switchback/roles/switchback-rollout'
    const { body } = await server.ask('admin', 'GET', role)
    const without = JSON.parse(JSON.stringify(body).replaceAll('"get","update"', '"get"')) as object
    onTestFinished(async () => {
      const { metadata, ...rest } = body as { metadata: { name: string } }
      await server.ask('admin', 'DELETE', role)
      const collection = role.slice(0, role.lastIndexOf('/'))
      await server.ask('admin', 'POST', collection, { metadata: { name: metadata.name }, ...rest })
      const dry = async (): Promise<boolean> => {
        const { body: now } = await server.ask('guard', 'GET', CONFIGMAP)
        return (await server.ask('guard', 'PUT', `${CONFIGMAP}?dryRun=All`, now)).status === 200
      }
      await until('the right is back', dry)
    })
    expect(await server.ask('admin', 'PUT', role, without)).toMatchObject({ status: 200 })
    await until('the right is gone', async () => {
      const { body: now } = await server.ask('guard', 'GET', CONFIGMAP)
      return (await server.ask('guard', 'PUT', `${CONFIGMAP}?dryRun=All`, now)).status === 403
    })
    const set = await run(['set', '20', '--yes'])
    expect([set.code, set.stderr]).toEqual([
      1,
      expect.stringMatching(/403.*cannot update resource/),
    ])
    await using app = await fakeProcess({ on: 10 })
    const guard = await run(['guard', '--metrics', app.url])
    expect([guard.code, guard.stderr]).toEqual([2, expect.stringContaining('403')])
    expect((await person('configmap').json(['status']))['share']).toBe(10)
  })

  it('of two guards one has the lease; it is given back, or runs out', async () => {
    const env = { KUBECONFIG: join(directory, 'guard') }
    const api = new KubernetesApi({ cluster: await findCluster({ env }), env })
    const path = guardLeasePath({ namespace: 'switchback', name: NAME, flag: 'use-redis' })
    expect(path.path).toBe(LEASE)
    const [first, second] = ['first', 'second'].map(
      (name) => new GuardLease({ api, path, name, seconds: 2 }),
    ) as [GuardLease, GuardLease]
    await until('the lease is free', async () => (await first.hold()) === '')
    expect(await second.hold()).toBe('first')
    await first.release()
    expect(await second.hold()).toBe('')
    expect(await first.hold()).toBe('second')
    await until('it was not renewed', async () => (await first.hold()) === '')
    expect(await second.hold()).toBe('first')
  })
})
