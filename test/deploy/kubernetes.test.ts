import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { findProgram } from '../../src/cli/provision/index.ts'
import { readFlagdEnvironment } from '../../src/flags/index.ts'
import {
  describe as describeFlag,
  loadFlags,
  validate as validateFlags,
} from '../../src/rollout/index.ts'
import { spoilt } from '../support/strictness.ts'
import {
  type Container,
  type Deployment,
  KUBERNETES,
  kustomization,
  manifest,
  manifestFiles,
  manifests,
  type NetworkPolicy,
  type PodDisruptionBudget,
  read,
  rendered,
  type Selector,
  type Service,
} from './manifests.ts'
import { isKustomization, isManifest } from './strict-manifest.ts'

const ROOT = new URL('../../', import.meta.url)

const deployment = manifest<Deployment>('Deployment').spec
const pod = deployment.template.spec
const [app] = pod.containers as [Container]
const [flagd] = pod.initContainers as [Container]
const ports = [app, flagd].flatMap((container) => container.ports ?? [])

function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

type Change = (fields: object, ...at: string[]) => void

function changing(root: object): Change {
  return (fields, ...at) => {
    let place = root as Record<string, object>
    for (const name of at) place = place[name] as Record<string, object>
    Object.assign(place, fields)
  }
}

function variable(name: string): string | undefined {
  return app.env?.find((one) => one.name === name)?.value
}

describe('the manifests', () => {
  it.each(manifests().map((one) => [one.kind, one.metadata.name, one] as const))(
    'follow the API: %s %s',
    (_, __, one) => {
      isManifest(one)
      expect(isManifest.errors).toBeNull()
    },
  )

  it.each<[string, (pod: Change, app: Change) => void]>([
    ['a misspelt field', (_, app) => app({ enviroment: [] })],
    ['an image that moves', (_, app) => app({ image: 'switchback:latest' })],
    ['an image without a tag', (_, app) => app({ image: 'switchback' })],
    ['a number as a variable', (_, app) => app({ env: [{ name: 'A', value: 1 }] })],
    ['a user that is a name', (_, app) => app({ runAsUser: 'node' }, 'securityContext')],
    ['root', (_, app) => app({ runAsUser: 0 }, 'securityContext')],
    [
      'a root that is written',
      (_, app) => app({ readOnlyRootFilesystem: false }, 'securityContext'),
    ],
    ['a capability', (_, app) => app({ capabilities: { drop: [] } }, 'securityContext')],
    ['no limit of memory', (_, app) => app({ limits: {} }, 'resources')],
    [
      'a long port name',
      (_, app) => app({ ports: [{ name: 'sixteen-letters-', containerPort: 1 }] }),
    ],
    ['a subPath', (_, app) => app({ subPath: 'x' }, 'volumeMounts', '0')],
    ['an emptyDir without end', (pod) => pod({ emptyDir: {} }, 'volumes', '1')],
    ['a token of the API server', (pod) => pod({ automountServiceAccountToken: true })],
    ['links to services', (pod) => pod({ enableServiceLinks: true })],
  ])('would not pass with %s', (_, change) => {
    const changed = copy(manifest<Deployment>('Deployment'))
    const { spec } = changed.spec.template
    change(changing(spec), changing(spec.containers[0]!))
    expect(isManifest(changed)).toBe(false)
    expect(isManifest(manifest('Deployment'))).toBe(true)
  })

  it.each(manifests().map((one) => [one.kind, one.metadata.name, one] as const))(
    'would not pass with a word too many or a value of another type: %s %s',
    (_, __, one) => {
      const passed = [...spoilt(one)].filter(
        // Of a port, name and number are equally good.
        ({ what, value }) => !/[pP]ort is a number$/.test(what) && isManifest(value),
      )
      expect(passed.map(({ what }) => what)).toEqual([])
    },
  )

  it('are all in a kustomization, and there is none that is not there', () => {
    for (const path of ['kustomization.yaml', 'flags/kustomization.yaml']) {
      isKustomization(kustomization(path))
      expect(isKustomization.errors).toBeNull()
      const passed = [...spoilt(kustomization(path))].filter(({ value }) => isKustomization(value))
      expect(passed.map(({ what }) => what)).toEqual([])
    }
    expect(kustomization('kustomization.yaml').resources?.toSorted()).toEqual(manifestFiles())
    const namespaces = ['kustomization.yaml', 'flags/kustomization.yaml'].map(
      (path) => kustomization(path).namespace,
    )
    expect(namespaces).toEqual(['switchback', 'switchback'])
    expect(manifest('Namespace').metadata.labels).toMatchObject({
      'pod-security.kubernetes.io/enforce': 'restricted',
    })
  })
})

describe.each(['.', 'flags'])('what `kubectl apply -k %s` sends', (path) => {
  it('follows the API, all in one namespace', () => {
    for (const one of rendered(path)) {
      isManifest(one)
      expect(isManifest.errors).toBeNull()
      const { kind, metadata } = one
      expect(kind === 'Namespace' ? metadata.name : metadata.namespace).toBe('switchback')
    }
  })

  it('runs images that can be pulled, and mounts what there is', () => {
    const all = ['.', 'flags'].flatMap((each) => rendered(each))
    const configMaps = all.filter(({ kind }) => kind === 'ConfigMap')
    for (const { kind, spec } of rendered(path)) {
      if (kind !== 'Deployment') continue
      const { containers, initContainers, volumes } = (spec as Deployment).template.spec
      // The registry is a part of the name: a bare one would be looked for in Docker's own.
      for (const { image } of [...containers, ...initContainers])
        expect(image).toMatch(/^\w+\.\S+\//)
      const names = volumes.flatMap(({ configMap }) => configMap?.name ?? [])
      expect(names).toEqual(configMaps.map(({ metadata }) => metadata.name))
    }
  })

  it.skipIf(findProgram(['kubectl'], process.env) === undefined)('is what kustomize makes', () => {
    const directory = fileURLToPath(new URL(path, KUBERNETES))
    const text = execFileSync('kubectl', ['kustomize', directory], { encoding: 'utf8' })
    const made = parseAllDocuments(text).map((document) => document.toJS() as object)
    const ours = rendered(path)
    expect(ours).toHaveLength(made.length)
    expect(ours).toEqual(expect.arrayContaining(made))
  })
})

describe('what refers to something', () => {
  const labels = deployment.template.metadata.labels

  function selects(selector: Selector['matchLabels']): boolean {
    return Object.entries(selector).every(([name, value]) => labels[name] === value)
  }

  it('selects the pods', () => {
    const services = manifests().filter(({ kind }) => kind === 'Service') as { spec: Service }[]
    const selectors = [
      deployment.selector.matchLabels,
      manifest<PodDisruptionBudget>('PodDisruptionBudget').spec.selector.matchLabels,
      manifest<NetworkPolicy>('NetworkPolicy').spec.podSelector.matchLabels,
      ...services.map(({ spec }) => spec.selector),
      ...pod.topologySpreadConstraints.map(({ labelSelector }) => labelSelector.matchLabels),
    ]
    expect(selectors.length).toBeGreaterThanOrEqual(6)
    for (const selector of selectors) {
      expect(Object.keys(selector)).not.toHaveLength(0)
      expect(selects(selector)).toBe(true)
    }
  })

  it('names ports that there are, each once', () => {
    const names = ports.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    const services = manifests().filter(({ kind }) => kind === 'Service') as { spec: Service }[]
    const policy = manifest<NetworkPolicy>('NetworkPolicy').spec
    const wanted = [
      ...services.flatMap(({ spec }) => spec.ports.map(({ targetPort }) => targetPort)),
      ...policy.ingress.flatMap((rule) => rule.ports.map(({ port }) => port)),
    ]
    expect(wanted.length).toBeGreaterThan(0)
    for (const name of wanted) expect(names).toContain(name)
    for (const container of [app, flagd]) {
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) {
        const name = container[probe]?.httpGet.port
        if (name !== undefined) expect(container.ports?.map((one) => one.name)).toContain(name)
      }
    }
  })

  it('mounts the volumes that there are, and every place that is written is one', () => {
    const volumes = pod.volumes.map(({ name }) => name)
    const mounts = [app, flagd].flatMap(({ volumeMounts = [] }) => volumeMounts)
    expect(new Set(mounts.map(({ name }) => name))).toEqual(new Set(volumes))
    const cache = app.volumeMounts?.find(
      ({ mountPath }) => mountPath === variable('SWITCHBACK_CACHE_DIR'),
    )
    expect(cache?.readOnly).not.toBe(true)
    expect(pod.volumes.find(({ name }) => name === cache?.name)).toHaveProperty('emptyDir')
  })

  it('takes flags from the ConfigMap that is generated, under a name that stays', async () => {
    const { configMapGenerator = [] } = kustomization('flags/kustomization.yaml')
    const [generated] = configMapGenerator
    const volume = pod.volumes.find(({ configMap }) => configMap !== undefined)
    expect(volume?.configMap?.name).toBe(generated?.name)
    const mount = flagd.volumeMounts?.find(({ name }) => name === volume?.name)
    expect(mount?.readOnly).toBe(true)
    const sources = JSON.parse(flagd.args?.at(-1) ?? '[]') as { uri: string; provider: string }[]
    expect(sources).toEqual([
      { uri: `${mount?.mountPath}/${generated?.files[0]}`, provider: 'fileinfo' },
    ])
    for (const file of generated?.files ?? []) {
      const path = fileURLToPath(new URL(`flags/${file}`, KUBERNETES))
      const document = await loadFlags(path)
      expect(validateFlags(readFileSync(path, 'utf8'))).toEqual([])
      expect(describeFlag(document, 'use-redis')).toMatchObject({ share: 0 })
    }
  })

  it('reads the Secret that the page makes, and the account that there is', () => {
    const refs = (app.env ?? []).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? [])
    expect(refs).toHaveLength(1)
    for (const { name, key } of refs) {
      expect(read('README.md')).toContain(`create secret generic ${name} --from-literal=${key}=`)
    }
    expect(manifest('ServiceAccount').metadata.name).toBe(pod.serviceAccountName)
  })
})

describe('the pod', () => {
  it('runs flagd as a native sidecar that cannot take the app out of service', () => {
    expect(flagd.image).toBe('ghcr.io/open-feature/flagd:v0.16.1')
    expect(flagd.restartPolicy).toBe('Always')
    expect(flagd.readinessProbe).toBeUndefined()
    expect(flagd.startupProbe).toBeUndefined()
    expect(flagd.livenessProbe?.httpGet.path).toBe('/healthz')
    const port = flagd.ports?.find(({ name }) => name === flagd.livenessProbe?.httpGet.port)
    expect(port?.containerPort).toBe(8014)
  })

  it('lets nobody from outside ask flagd', () => {
    const { ingress } = manifest<NetworkPolicy>('NetworkPolicy').spec
    const open = ingress.flatMap((rule) => rule.ports.map(({ port }) => port))
    for (const { name, containerPort } of flagd.ports ?? []) {
      expect(open).not.toContain(name)
      expect(open).not.toContain(containerPort)
    }
    const exposed = manifests().filter(({ kind }) => kind === 'Service') as { spec: Service }[]
    for (const { spec } of exposed) {
      for (const { targetPort } of spec.ports) expect(['http', 'metrics']).toContain(targetPort)
    }
  })

  it('points the app at the flagd beside it', () => {
    const env = Object.fromEntries((app.env ?? []).map(({ name, value }) => [name, value]))
    const settings = readFlagdEnvironment(env)
    const sync = flagd.ports?.find(({ name }) => name === 'flagd-sync')?.containerPort
    expect(settings).toMatchObject({
      mode: 'in-process',
      warnings: [],
      address: { host: '127.0.0.1', port: sync },
    })
    expect(Number(variable('PORT'))).toBe(ports.find(({ name }) => name === 'http')?.containerPort)
    expect(Number(variable('METRICS_PORT'))).toBe(
      ports.find(({ name }) => name === 'metrics')?.containerPort,
    )
    // The defaults are the loopback interface, which neither a probe nor a Service reaches.
    expect([variable('HOST'), variable('METRICS_HOST')]).toEqual(['0.0.0.0', '0.0.0.0'])
  })

  it('sets only variables that somebody reads', () => {
    const source = readdirSync(new URL('src/', ROOT), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(new URL(`src/${name}`, ROOT), 'utf8'))
      .join('\n')
    const names = (app.env ?? []).map(({ name }) => name)
    const unread = names.filter((name) => !source.includes(name))
    expect(unread).toEqual([])
  })

  it('runs what the Dockerfile makes, in the version that is tagged, with time to end', () => {
    const [image] = kustomization('kustomization.yaml').images ?? []
    const { version } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as {
      version: string
    }
    expect(app.image).toBe(`${image?.name}:${version}`)
    expect(image?.newTag).toBe(version)
    const sleep = Number(app.lifecycle?.preStop.exec.command.at(-1))
    const drain = 10
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(sleep + drain + 5)
  })

  it('may lose one pod at a time', () => {
    const { maxUnavailable } = manifest<PodDisruptionBudget>('PodDisruptionBudget').spec
    expect(deployment.replicas).toBeGreaterThan(maxUnavailable + 1)
  })
})
