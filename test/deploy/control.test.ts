import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { parsePlan } from '../../src/guard/index.ts'
import { describe as describeFlag, loadFlags, validate } from '../../src/rollout/index.ts'
import {
  type Deployment,
  type Kustomization,
  type Manifest,
  manifest,
  type NetworkPolicy,
  type PodDisruptionBudget,
  type Service,
} from './manifests.ts'
import { expectStrict, isKustomization, isManifest } from './strict-manifest.ts'

const HERE = new URL('../../deploy/kubernetes-control/', import.meta.url)

const read = (path: string): string => readFileSync(new URL(path, HERE), 'utf8')
const own = ['control.yaml', 'network-policy.yaml'].flatMap((file) =>
  parseAllDocuments(read(file), { uniqueKeys: true }).map((one) => one.toJS() as Manifest),
)
const kustomizations = ['kustomization.yaml', 'override/kustomization.yaml'].map(
  (path) => [path, parse(read(path)) as Kustomization & { patches?: Patch[] }] as const,
)
const [[, top], [, override]] = kustomizations as [
  (typeof kustomizations)[0],
  (typeof kustomizations)[0],
]

interface Patch {
  readonly target: { readonly kind: string; readonly name: string }
  readonly patch: string
}

function ownOf<Spec>(kind: string, name = 'switchback-control'): Spec {
  return own.find((one) => one.kind === kind && one.metadata.name === name)!.spec as Spec
}

/** The app's Deployment as the overlay makes it: its patches are JSON patches that replace. */
function patchedApp(): Manifest<Deployment> {
  const made = structuredClone(manifest<Deployment>('Deployment'))
  for (const { target, patch } of top.patches ?? []) {
    expect(target).toEqual({ kind: 'Deployment', name: 'switchback' })
    for (const { op, path, value } of parse(patch) as Record<string, string>[]) {
      expect(op).toBe('replace')
      const steps = path!.split('/').slice(1)
      const last = steps.pop()!
      let place = made as unknown as Record<string, Record<string, unknown>>
      for (const step of steps) place = place[step] as never
      expect(place).toHaveProperty(last)
      place[last] = value as never
    }
  }
  return made
}

const app = patchedApp()
const control = ownOf<Deployment>('Deployment')
const pod = control.template.spec
const containers = [...pod.initContainers, ...pod.containers]

describe('deploy/kubernetes-control', () => {
  it.each(own.map((one) => [one.kind, one.metadata.name, one] as const))(
    'follows the API, strictly: %s %s',
    (_, __, one) => expectStrict(one),
  )

  it.each(kustomizations)('%s is a kustomization', (_, one) => {
    isKustomization(one)
    expect(isKustomization.errors).toBeNull()
    expect(one.namespace).toBe('switchback')
  })

  it('leaves a Deployment of the app that follows the API', () => {
    isManifest(app)
    expect(isManifest.errors).toBeNull()
    expect(top.resources).toEqual(['../kubernetes', 'control.yaml', 'network-policy.yaml'])
  })

  it('every pod hears from control, and from the override, which counts more', async () => {
    const [flagd] = app.spec.template.spec.initContainers
    const sources = JSON.parse(flagd!.args!.at(-1)!) as { uri: string; provider: string }[]
    const [service] = own.filter(({ kind }) => kind === 'Service') as Manifest<Service>[]
    const sync = service!.spec.ports.find(({ targetPort }) => targetPort === 'flagd-sync') as
      | { port?: number }
      | undefined
    const [generated] = override.configMapGenerator ?? []
    const mount = flagd!.volumeMounts!.find(({ name }) => name === 'flags')!.mountPath
    expect(sources).toEqual([
      { uri: `${service!.metadata.name}:${sync?.port}`, provider: 'grpc' },
      { uri: `${mount}/${generated?.files[0]}`, provider: 'fileinfo' },
    ])
    const { volumes } = app.spec.template.spec
    expect(volumes[0]).toMatchObject({ name: 'flags', configMap: { name: generated?.name } })
    // Nothing until it is needed; then everybody goes back.
    expect(JSON.parse(read(`override/${generated?.files[0]}`))).toEqual({ flags: {} })
    const back = fileURLToPath(new URL('override/everybody-back.json', HERE))
    expect(
      validate(readFileSync(back, 'utf8')).filter(({ severity }) => severity === 'error'),
    ).toEqual([])
    expect(describeFlag(await loadFlags(back), 'use-redis').share).toBe(0)
    expect(read('README.md')).toContain(
      'override.json=deploy/kubernetes-control/override/everybody-back.json',
    )
  })

  it('flagd beside control serves the file that control writes, on ports that the Service names', () => {
    const names = containers.flatMap(({ ports = [] }) => ports.map(({ name }) => name))
    expect(new Set(names).size).toBe(names.length)
    for (const { targetPort } of ownOf<Service>('Service').ports)
      expect(names).toContain(targetPort)
    const flagd = pod.initContainers.find(({ name }) => name === 'flagd')!
    const [{ uri }] = JSON.parse(flagd.args!.at(-1)!) as [{ uri: string }]
    const args = pod.containers[0]!.args!
    expect(args[args.indexOf('--file') + 1]).toBe(uri)
    const ofrep = flagd.ports!.find(({ name }) => name === 'flagd-ofrep')!.containerPort
    expect(args[args.indexOf('--flagd') + 1]).toBe(`http://127.0.0.1:${ofrep}`)
    const places = new Map(containers.map(({ name, volumeMounts = [] }) => [name, volumeMounts]))
    const flags = (name: string): object =>
      places.get(name)!.find((mount) => mount.name === 'flags')!
    expect(flags('control')).toEqual({ name: 'flags', mountPath: '/flags' })
    expect(flags('flagd')).toEqual({ name: 'flags', mountPath: '/flags', readOnly: true })
  })

  it('mounts the volumes that there are, and reads the Secrets that the page makes', () => {
    const volumes = pod.volumes.map(({ name }) => name)
    const mounts = containers.flatMap(({ volumeMounts = [] }) => volumeMounts)
    expect(new Set(mounts.map(({ name }) => name))).toEqual(new Set(volumes))
    const refs = containers.flatMap(({ env = [] }) =>
      env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? []),
    )
    expect(refs).toHaveLength(1)
    for (const { name, key } of refs) {
      expect(read('README.md')).toContain(`create secret generic ${name} --from-literal=${key}=`)
    }
  })

  it('the guard of the plan reads every pod, over the headless Service', () => {
    const [generated] = top.configMapGenerator ?? []
    const plan = parsePlan(read(generated!.files[0]!))
    const metrics = manifest<Service>('Service', 'switchback-metrics')
    expect((metrics.spec as { clusterIP?: string }).clusterIP).toBe('None')
    const [port] = metrics.spec.ports as unknown as [{ port: number }]
    expect(plan.sources.replicas).toEqual([`http://switchback-metrics:${port.port}/metrics`])
  })

  it('selects its pods, and lets in and out what the two need of each other', () => {
    const labels = control.template.metadata.labels
    expect(control.selector.matchLabels).toEqual(labels)
    expect(ownOf<Service>('Service').selector).toEqual(labels)
    expect(ownOf<PodDisruptionBudget>('PodDisruptionBudget').selector.matchLabels).toEqual(labels)
    const policy = ownOf<NetworkPolicy>('NetworkPolicy')
    expect(policy.podSelector.matchLabels).toEqual(labels)
    const theirs = ownOf<NetworkPolicy>('NetworkPolicy', 'switchback-with-control')
    expect(theirs.podSelector.matchLabels).toEqual(app.spec.template.metadata.labels)
    const open = (rules: NetworkPolicy['ingress'] | NetworkPolicy['egress']): unknown[] =>
      rules.flatMap(({ ports }) => ports.map(({ port }) => port))
    expect(open(policy.ingress)).toEqual(['flagd-sync', 'control'])
    expect(open(theirs.egress)).toEqual(['flagd-sync'])
    expect(open(policy.egress)).toContain('metrics')
    expect(open(theirs.ingress)).toEqual(['metrics'])
  })
})
