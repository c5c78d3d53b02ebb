import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { KubernetesApi } from '../../src/cli/kubernetes/kubernetes-api.ts'
import { findCluster } from '../../src/cli/kubernetes/kubeconfig.ts'
import { GuardLease, guardLeasePath } from '../../src/cli/places/guard-lease.ts'
import { openPlace } from '../../src/cli/places/open-place.ts'
import { changeBack, changeShare } from '../../src/rollout/index.ts'
import { deploy } from '../guard/deployment.ts'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import { fakeProcess } from '../support/fake-process.ts'
import { addObject, type FakeKubernetes, fakeKubernetes } from '../support/kubernetes-api.ts'
import { type Ended, jsonOf, runCommand } from '../support/run-command.ts'

const parsed = JSON.parse(usual) as { flags: { 'use-redis': { targeting: object } } }
const { flags } = parsed

interface Place {
  readonly api: FakeKubernetes
  readonly env: Readonly<Record<string, string>>
  readonly directory: string
  /** The path of the object in the API. */
  readonly path: string
  run(argv: readonly string[], env?: Record<string, string>): Promise<Ended>
  json(argv: readonly string[]): Promise<Record<string, any>>
}

/** The commands in this process, with a kubeconfig and an API with one object. */
async function place(
  target = 'configmap/flags',
  { data = { 'use-redis.json': usual } }: { readonly data?: Record<string, string> } = {},
): Promise<Place> {
  const api = await fakeKubernetes()
  onTestFinished(() => api[Symbol.asyncDispose]())
  const path = target.startsWith('configmap')
    ? addObject(api, 'ConfigMap', 'flags', { data })
    : addObject(api, 'FeatureFlag', 'flags', { spec: { flagSpec: { flags } } })
  const directory = await temporaryDirectory()
  const kubeconfig = join(directory, 'kubeconfig')
  await writeFile(kubeconfig, kubeconfigOf(api.url))
  const env = {
    KUBECONFIG: kubeconfig,
    SWITCHBACK_TARGET: target,
    SWITCHBACK_STATE: directory,
    SWITCHBACK_WHO: 'ann@test',
  }
  const run: Place['run'] = (argv, more = {}) => runCommand(argv, { env: { ...env, ...more } })
  return {
    api,
    env,
    directory,
    path,
    run,
    json: (argv) => jsonOf(run([...argv, '--json'])),
  }
}

/** Somebody sets another share with kubectl. */
function byHand({ api, path }: Place, share: number): void {
  const fractional = [
    ['on', share],
    ['off', 100 - share],
  ]
  api.edit(path, (object) => {
    const { data, spec } = object as { data?: Record<string, string>; spec?: { flagSpec: unknown } }
    const value = (spec?.flagSpec ?? JSON.parse(data!['use-redis.json']!)) as typeof parsed
    value.flags['use-redis'].targeting = { fractional }
    if (data !== undefined) data['use-redis.json'] = JSON.stringify(value)
  })
}

function kubeconfigOf(server: string, user = 'token: a-token'): string {
  return `apiVersion: v1
kind: Config
current-context: here
clusters:
  - name: here
    cluster: { server: '${server}' }
users:
  - name: ann
    user: { ${user} }
contexts:
  - name: here
    context: { cluster: here, user: ann, namespace: shop }
  - name: broken
    context: { cluster: nowhere, user: ann }
`
}

const TARGETS = ['configmap/flags', 'featureflag/flags']

describe.each(TARGETS)('--target %s', (target) => {
  it('set, undo, pilot, rollback, status, history work as on a file', async () => {
    const here = await place(target)
    expect(await here.json(['status'])).toMatchObject({ ok: true, share: 10, file: target })
    const set = await here.json(['set', '25', '--yes', '--reason', 'first step'])
    expect(set).toMatchObject({ ok: true, file: target, from: 10, to: 25, written: true })
    expect(await here.json(['status'])).toMatchObject({ share: 25, hash: set['hash'].after })
    await here.json(['pilot', '--yes', '--attribute', 'plan', '--in', 'beta'])
    expect(await here.json(['status'])).toMatchObject({ share: 25, shape: 'segment first' })
    await here.json(['undo', '--yes'])
    expect(await here.json(['undo', '--yes'])).toMatchObject({ action: 'undo', to: 10 })
    await here.json(['set', '50', '--yes'])
    expect(await here.json(['rollback'])).toMatchObject({ from: 50, to: 0, written: true })
    const { entries } = await here.json(['history'])
    expect(entries.map(({ action }: { action: string }) => action)).toEqual([
      'rollback',
      'set',
      'undo',
      'undo',
      'pilot',
      'set',
    ])
    expect(entries.at(-1)).toMatchObject({
      who: 'ann@test',
      reason: 'first step',
      from: 10,
      to: 25,
    })
    // Each begins where the one before ended, so that no edit by hand is seen where there was none.
    for (const [index, { before }] of entries.slice(0, -1).entries()) {
      expect(before).toBe(entries[index + 1].after)
    }
  })

  it('sees and undoes an edit that no command made', async () => {
    const here = await place(target)
    await here.json(['set', '25', '--yes'])
    byHand(here, 70)
    expect((await here.run(['status'])).stdout).toContain('by hand: 25 % -> 70 %')
    expect(await here.json(['undo', '--yes'])).toMatchObject({ from: 70, to: 25 })
    const { entries } = await here.json(['history'])
    expect(entries.map(({ action }: { action: string }) => action)).toEqual([
      'undo',
      'outside',
      'set',
    ])
  })

  it('of two writers neither loses its change unseen', async () => {
    const here = await place(target)
    let others = 0
    // Another client sets an annotation each time: the version changes, the flags do not.
    here.api.onPut = () => {
      if (others++ < 3) here.api.edit(here.path, (object) => void (object['note'] = others))
    }
    expect(await here.json(['set', '25', '--yes'])).toMatchObject({ ok: true, written: true })
    expect(others).toBe(4)
    // Now it changes the flags, after they were read and before they are written.
    here.api.onPut = () => {
      here.api.onPut = undefined
      byHand(here, 26)
    }
    const lost = await here.run(['set', '40', '--yes'])
    expect(lost).toMatchObject({ code: 1, stderr: expect.stringContaining('changed by somebody') })
    expect(await here.json(['status'])).toMatchObject({ share: 26 })
  })

  it('a rollback goes through however many others are editing', async () => {
    const here = await place(target)
    let share = 10
    here.api.onPut = () => {
      if (share > 16) return
      byHand(here, ++share)
    }
    expect(await here.json(['rollback'])).toMatchObject({ ok: true, to: 0, written: true })
    expect(share).toBe(17)
    expect(await here.json(['status'])).toMatchObject({ share: 0 })
  })

  it('an answer that is lost is neither taken for a failure nor written twice', async () => {
    const here = await place(target)
    here.api.faults.PUT.push('cut-after')
    expect(await here.json(['set', '25', '--yes'])).toMatchObject({
      ok: true,
      written: true,
      to: 25,
    })
    here.api.faults.PUT.push('cut-before')
    expect(await here.json(['set', '30', '--yes'])).toMatchObject({
      ok: true,
      written: true,
      to: 30,
    })
    const { entries } = await here.json(['history'])
    expect(entries).toHaveLength(2)
  })

  it('waits out a server that is busy for a moment', async () => {
    const here = await place(target)
    here.api.faults.GET.push({ status: 503, message: 'apiserver is shutting down' })
    here.api.faults.PUT.push({ status: 429, message: 'too many requests' })
    expect(await here.json(['set', '25', '--yes'])).toMatchObject({ ok: true, to: 25 })
  })

  it('a server that has just started and has not read its Roles is asked again', async () => {
    const here = await place(target)
    const unread = { status: 403, message: 'is forbidden: User "a" cannot' }
    here.api.faults.GET.push(unread, unread)
    here.api.faults.PUT.push(unread)
    expect(await here.json(['set', '25', '--yes'])).toMatchObject({ ok: true, to: 25 })
  })

  it('what is missing or forbidden is told with its remedy', async () => {
    const here = await place(target)
    const [kind = ''] = target.split('/')
    const told = async (argv: readonly string[], env = {}): Promise<string> => {
      const { code, stdout, stderr } = await here.run(argv, env)
      expect([stdout.includes('written'), stderr.trim().split('\n').length]).toEqual([false, 2])
      return `${code} ${stderr.replaceAll(/\s+/g, ' ')}`
    }
    const gone = await told(['status', '--target', `${kind}/gone`])
    expect(gone).toMatch(/^2 .*"gone" in the namespace "shop" does not exist/)
    expect(gone).toContain('--namespace')
    here.api.rights.delete('update')
    const forbidden = await told(['set', '20', '--yes'])
    expect(forbidden).toMatch(/^1 .*403.*cannot update resource/)
    expect(forbidden).toContain(`get and update on the`)
    here.api.rights.clear()
    expect(await told(['status'])).toContain(`cannot get resource`)
    here.api.token = 'another'
    expect(await told(['rollback'])).toMatch(/^1 .*does not accept the credentials.*401/)
    const away = kubeconfigOf('http://127.0.0.1:1')
    await writeFile(join(here.directory, 'away'), away)
    const nowhere = await told(['rollback'], { KUBECONFIG: join(here.directory, 'away') })
    expect(nowhere).toMatch(/^1 .*the Kubernetes API at http:\/\/127.0.0.1:1 is not there.*ECONN/)
  })
})

describe('a ConfigMap', () => {
  it('keeps everything of the object that it does not mean', async () => {
    const data = { 'use-redis.json': usual, 'other.json': '{}' }
    const here = await place('configmap/flags', { data })
    const before = structuredClone(here.api.objects.get(here.path)!)
    await here.json(['set', '25', '--yes'])
    const after = here.api.objects.get(here.path)!
    expect(here.api.data(here.path)).toEqual({
      'use-redis.json': usual.replace('["on", 10], ["off", 90]', '["on", 25], ["off", 75]'),
      'other.json': '{}',
    })
    const { annotations, resourceVersion, ...rest } = after.metadata
    const { resourceVersion: old, ...was } = before.metadata
    expect([rest, resourceVersion === old]).toEqual([was, false])
    expect(Object.keys(annotations!).toSorted()).toEqual([
      'openfeature-switchback/history',
      'openfeature-switchback/last-good',
    ])
  })

  it('takes the key that is named, the only one, or the one of the flag', async () => {
    const one = await place('configmap/flags', { data: { 'any.json': usual } })
    expect(await one.json(['status'])).toMatchObject({ share: 10 })
    const two = await place('configmap/flags', { data: { 'a.json': usual, 'b.json': '{}' } })
    expect((await two.run(['status'])).stderr).toContain(
      'name one with --target configmap/flags/KEY; its keys: "a.json", "b.json"',
    )
    expect(await two.json(['status', '--target', 'configmap/flags/a.json'])).toMatchObject({
      share: 10,
      file: 'configmap/flags/a.json',
    })
  })

  it('is restored when its flags are broken or gone, and the broken ones are kept', async () => {
    const here = await place()
    await here.json(['set', '25', '--yes'])
    here.api.edit(here.path, (object) => {
      object['data'] = { 'use-redis.json': '{"flags": {' }
    })
    const broken = await here.run(['rollback'])
    expect(broken.code).toBe(2)
    expect(broken.stderr).toContain('switchback rollback --restore')
    const restored = await here.json(['rollback', '--restore'])
    expect(restored).toMatchObject({ ok: true, action: 'restore' })
    expect(restored['warning']).toContain('openfeature-switchback/broken')
    expect(await here.json(['status'])).toMatchObject({ share: 0 })
    here.api.edit(here.path, (object) => void (object['data'] = {}))
    expect(await here.json(['rollback', '--restore'])).toMatchObject({ ok: true })
    // What was disabled because its rule fails is not what is restored.
    here.api.edit(here.path, (object) => {
      const data = object['data'] as Record<string, string>
      data['use-redis.json'] = data['use-redis.json']!.replace('["on", 0]', '["onn", 1]')
    })
    expect(await here.json(['rollback'])).toMatchObject({ action: 'disable' })
    here.api.edit(here.path, (object) => void (object['data'] = {}))
    expect(await here.json(['rollback', '--restore'])).toMatchObject({ action: 'restore' })
    expect(await here.json(['status'])).toMatchObject({ share: 0, state: 'ENABLED' })
  })

  it('keeps the newest lines of a long history, within what Kubernetes takes', async () => {
    const here = await place()
    const place0 = await openPlace({
      target: 'configmap/flags',
      flag: 'use-redis',
      namespace: undefined,
      context: undefined,
      env: here.env,
      findFile: () => Promise.reject(new Error('not a file')),
    })
    const reason = 'x'.repeat(4000)
    for (let share = 11; share < 41; share++) {
      const by = { who: 'ann', via: 'test', reason }
      await changeShare({ file: place0, flag: 'use-redis', flagd: false, by, percent: share })
    }
    const history = await place0.history()
    expect(history.at(-1)).toMatchObject({ from: 39, to: 40 })
    expect(history.length).toBeGreaterThan(10)
    expect(history.length).toBeLessThan(20)
  })

  it('says so when Argo CD or Flux will undo it, and when it is immutable', async () => {
    const here = await place()
    here.api.edit(here.path, ({ metadata }) => {
      metadata.annotations = { 'argocd.argoproj.io/tracking-id': 'flags:/ConfigMap:shop/flags' }
    })
    expect((await here.json(['set', '20', '--yes']))['warning']).toContain(
      'Argo CD manages this object',
    )
    here.api.edit(here.path, (object) => void (object['immutable'] = true))
    expect(await here.run(['set', '30', '--yes'])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is immutable'),
    })
  })

  it('is confirmed by every process, and one that lags is named', async () => {
    const here = await place()
    await using follows = await fakeProcess({ on: 0 })
    await using lags = await fakeProcess({ on: 10 })
    const metrics = ['--metrics', follows.url, '--metrics', lags.url]
    const told = await here.json(['rollback', '--timeout', '0.3', ...metrics])
    expect(told).toMatchObject({ ok: false, written: true, processes: { known: 2, deciding: 1 } })
    expect(told['flagd']).toBeUndefined()
    lags.says = { on: 0 }
    expect((await here.run(['rollback', ...metrics])).stdout).toMatch(/2 of 2 processes/)
  })

  it('switchback validate checks it, and the guard says at the start that it may not write', async () => {
    const text = usual.replace('"defaultVariant": "off"', '"defaultVariant": "of"')
    const here = await place('configmap/flags', { data: { 'use-redis.json': text } })
    const { code, stdout } = await here.run(['validate'])
    expect([code, stdout]).toEqual([1, expect.stringContaining('configmap/flags:7:25  error')])
    const other = await place()
    other.api.rights.delete('update')
    await using app = await fakeProcess({ on: 10 })
    const guard = await other.run(['guard', '--metrics', app.url])
    expect(guard).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('could not roll use-redis back'),
    })
    expect(guard.stderr).toContain('403')
    // What it tried changed nothing.
    expect(other.api.objects.get(other.path)!.metadata.resourceVersion).toBe('900')
    expect(other.api.asked).toContain(`PUT ${other.path}?dryRun=All`)
  })

  it('is validated before it is written, as a file is', async () => {
    const here = await place('configmap/flags', {
      data: { 'use-redis.json': usual.replace('"off": false', '"off": false, "off": 1') },
    })
    const { code, stderr } = await here.run(['set', '25', '--yes'])
    expect([code, stderr.length > 0]).toEqual([1, true])
    expect(here.api.asked.filter((each) => each.startsWith('PUT'))).toEqual([])
  })
})

describe('a FeatureFlag', () => {
  it('a cluster without the operator says what to install', async () => {
    const api = await fakeKubernetes({ featureFlags: false })
    onTestFinished(() => api[Symbol.asyncDispose]())
    const here = await place('featureflag/flags')
    const file = join(here.directory, 'plain')
    await writeFile(file, kubeconfigOf(api.url))
    const { code, stderr } = await here.run(['status'], { KUBECONFIG: file })
    expect([code, stderr]).toEqual([2, expect.stringContaining('OpenFeature Operator')])
  })

  it('refuses to write a number that it would round', async () => {
    const here = await place('featureflag/flags')
    here.api.edit(here.path, (object) => {
      const { flagSpec } = object['spec'] as { flagSpec: { flags: Record<string, unknown> } }
      flagSpec.flags['big'] = {
        state: 'ENABLED',
        defaultVariant: 'a',
        variants: { a: 2 ** 60 },
      }
    })
    const { code, stderr } = await here.run(['set', '20', '--yes'])
    expect([code, stderr]).toEqual([1, expect.stringContaining('would be rounded')])
  })
})

describe('bad input is one line and its remedy, and exit code 2', () => {
  it.each<[string, string[], string]>([
    ['no kind', ['--target', 'secret/flags'], '"secret/flags" is not a place of flags'],
    ['no name', ['--target', 'configmap/'], '"configmap/" is not a place of flags'],
    ['a path', ['--target', 'configmap/../secrets/x'], 'is not a place of flags'],
    ['a key that is none', ['--target', 'configmap/flags/a b'], '"a b" is not a key'],
    ['a key of a FeatureFlag', ['--target', 'featureflag/a/b'], 'is not a place of flags'],
    ['a namespace that is none', ['--namespace', 'a/b'], '--namespace "a/b" is not a namespace'],
    ['an unknown context', ['--context', 'prod'], 'the kubeconfig has no context "prod"'],
    ['a context without cluster', ['--context', 'broken'], 'the cluster "nowhere", which has no'],
    ['a file too', ['--target', 'configmap/flags', '--file', 'x.json'], 'exclude each other'],
  ])('%s', async (_, argv, message) => {
    const here = await place()
    const { code, stdout, stderr } = await here.run(['status', ...argv])
    expect(stderr).toContain(message)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(2)
    expect(here.api.asked).toEqual([])
  })

  it('--namespace without --target, and a --file beside SWITCHBACK_TARGET', async () => {
    const here = await place()
    const alone = await here.run(['status', '--namespace', 'shop'], { SWITCHBACK_TARGET: '' })
    expect(alone).toMatchObject({ code: 2, stderr: expect.stringContaining('without --target') })
    const file = join(here.directory, 'use-redis.json')
    await writeFile(file, usual.replace('10], ["off", 90]', '30], ["off", 70]'))
    const { stdout } = await here.run(['status', '--file', file, '--no-flagd', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({ share: 30 })
  })

  it.each([
    ['not YAML', '{', 'is invalid'],
    ['a list', '[]', 'expected a mapping'],
    ['an unsupported way', kubeconfigOf('http://a', 'username: ann'), 'uses "username"'],
    ['no current context', 'clusters: []', 'has no current context'],
  ])('a kubeconfig that is %s', async (_, text, message) => {
    const here = await place()
    const file = join(here.directory, 'other')
    await writeFile(file, text)
    const { code, stderr } = await here.run(['status'], { KUBECONFIG: file })
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)])
  })
})

describe('guards on several machines', () => {
  const of = { namespace: 'shop', name: 'flags', flag: 'use-redis' }

  it.each([
    ['a_b', 'a-b', 'a.b', 'A-b', 'a--b', '-a-b'],
    ['ü', 'ä', '?'],
    [`a${'-b'.repeat(200)}`, `a${'-b'.repeat(200)}-c`],
  ])('each flag has a Lease of its own, by a name of DNS: %s', (...flags) => {
    const paths = flags.map((flag) => guardLeasePath({ ...of, flag }).path)
    const names = paths.map((path) => path.split('/').at(-1)!)
    expect(new Set(names).size).toBe(flags.length)
    for (const name of names) {
      expect(name).toMatch(/^flags-[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
      expect(name.length).toBeLessThanOrEqual(253)
    }
  })

  it('keeps the name of a flag that can be one', () => {
    expect(guardLeasePath(of).path).toMatch(/leases\/flags-use-redis$/)
  })
  const lease = (here: Place, name: string, now: () => number): Promise<GuardLease> =>
    findCluster({ env: here.env }).then(
      (cluster) =>
        new GuardLease({
          api: new KubernetesApi({ cluster, env: here.env }),
          path: guardLeasePath(of),
          name,
          now,
        }),
    )

  it('one holds the Lease; it is given back, runs out, or its answer is lost', async () => {
    const here = await place()
    const path = addObject(here.api, 'Lease', 'flags-use-redis', {})
    let now = 0
    const first = await lease(here, 'first', () => now)
    const second = await lease(here, 'second', () => now)
    expect([await first.hold(), await second.hold()]).toEqual(['', 'first'])
    // Renewed every 5 s, not at every look.
    const writes = (): number => here.api.asked.filter((each) => each === `PUT ${path}`).length
    const before = writes()
    for (now = 1000; now <= 14_000; now += 1000) expect(await first.hold()).toBe('')
    expect(writes() - before).toBe(2)
    expect(await second.hold()).toBe('first')
    now += 14_000
    expect(await second.hold()).toBe('first')
    // 15 s without a renewal, as the second one saw it: the first one is taken for dead, and finds it out.
    now += 2000
    expect(await second.hold()).toBe('')
    expect(await first.hold()).toBe('second')
    await second.release()
    expect(await first.hold()).toBe('')
    // The API is away: nobody can edit, and who holds it goes on.
    now += 6000
    here.api.faults.PUT.push({ status: 503, message: 'away' })
    expect(await first.hold()).toBe('')
    // The renewal arrived, its answer did not.
    now += 6000
    here.api.faults.PUT.push('cut-after')
    expect([await first.hold(), await first.hold(), await second.hold()]).toEqual(['', '', 'first'])
    expect(here.api.objects.get(path)).toMatchObject({
      spec: { leaseDurationSeconds: 15, leaseTransitions: 4 },
    })
  })

  it('a guard says so where there is no Lease, and stands by where another one has it', async () => {
    const here = await place()
    const { metrics } = await deploy(10)
    const guard = (signal: AbortSignal, onOutput: (text: string) => void): Promise<Ended> =>
      runCommand(['guard', '--metrics', metrics], { env: here.env, signal, onOutput })
    const stop = new AbortController()
    const alone = await guard(stop.signal, () => stop.abort())
    expect(alone.stderr).toContain(
      'no lease: the Lease "flags-use-redis" in the namespace "shop" does not exist',
    )
    addObject(here.api, 'Lease', 'flags-use-redis', {})
    const other = await lease(here, 'guard of bob', () => 0)
    expect(await other.hold()).toBe('')
    const end = new AbortController()
    const stands = await guard(end.signal, (text) => {
      if (text.includes('guard of bob acts')) end.abort()
    })
    expect(stands).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('guard of bob acts; this guard stands by'),
      stderr: '',
    })
  })
})

it('a place of one’s own can be given to the library', async () => {
  const here = await place()
  const file = await openPlace({
    target: 'configmap/flags',
    flag: 'use-redis',
    namespace: 'shop',
    context: 'here',
    env: here.env,
    findFile: () => Promise.reject(new Error('not a file')),
  })
  const by = { who: 'ann', via: 'test' }
  const { applied } = await changeBack({ file, flag: 'use-redis', flagd: false, by })
  expect(applied).toMatchObject({ file: 'configmap/flags', history: { action: 'rollback', to: 0 } })
})
