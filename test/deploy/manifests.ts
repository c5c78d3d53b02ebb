import { readdirSync, readFileSync } from 'node:fs'
import { parse, parseAllDocuments } from 'yaml'

export const KUBERNETES: URL = new URL('../../deploy/kubernetes/', import.meta.url)

export type Labels = Readonly<Record<string, string>>

export interface Selector {
  readonly matchLabels: Labels
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}

export interface Variable {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } }
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly restartPolicy?: string
  readonly args?: readonly string[]
  readonly env?: readonly Variable[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: string[] } } }
  readonly resources: Readonly<Record<'requests' | 'limits', { readonly memory: string }>>
  readonly securityContext: { readonly runAsUser: number }
  readonly volumeMounts?: readonly {
    readonly name: string
    readonly mountPath: string
    readonly readOnly?: boolean
  }[]
}

export interface PodSpec {
  readonly serviceAccountName: string
  readonly terminationGracePeriodSeconds: number
  readonly topologySpreadConstraints: readonly { readonly labelSelector: Selector }[]
  readonly initContainers: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly {
    readonly name: string
    readonly configMap?: { readonly name: string }
    readonly emptyDir?: { readonly sizeLimit: string }
  }[]
}

export interface Manifest<Spec = unknown> {
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Labels
  }
  readonly spec: Spec
}

export interface Deployment {
  readonly replicas: number
  readonly selector: Selector
  readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec }
}

export interface Service {
  readonly selector: Labels
  readonly ports: readonly { readonly targetPort: string }[]
}

export interface NetworkPolicy {
  readonly podSelector: Selector
  readonly ingress: readonly { readonly ports: readonly { readonly port: string | number }[] }[]
  readonly egress: readonly { readonly ports: readonly { readonly port: string | number }[] }[]
}

export interface PodDisruptionBudget {
  readonly maxUnavailable: number
  readonly selector: Selector
}

export interface Kustomization {
  readonly namespace: string
  readonly resources?: readonly string[]
  readonly labels?: readonly { readonly pairs: Labels }[]
  readonly images?: readonly {
    readonly name: string
    readonly newName: string
    readonly newTag: string
  }[]
  readonly configMapGenerator?: readonly {
    readonly name: string
    readonly files: readonly string[]
  }[]
}

export function read(path: string): string {
  return readFileSync(new URL(path, KUBERNETES), 'utf8')
}

/** Every YAML file but the kustomizations, whether or not one of them names it. */
export function manifestFiles(): string[] {
  return readdirSync(KUBERNETES, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml') && !name.endsWith('kustomization.yaml'))
    .toSorted()
}

/** A repeated key or a broken document throws. */
export function manifests(files: readonly string[] = manifestFiles()): Manifest[] {
  return files.flatMap((file) =>
    parseAllDocuments(read(file), { uniqueKeys: true }).map((document) => {
      if (document.errors.length > 0) throw document.errors[0]
      return document.toJS() as Manifest
    }),
  )
}

/**
 * What kustomize makes of a directory: all that our kustomizations say (their schema allows no more) is
 * applied. Labels go to the objects, not to selectors or pods.
 */
export function rendered(directory: string): Manifest[] {
  const from = `${directory}/`
  const { namespace, resources, labels, images, configMapGenerator } = kustomization(
    `${from}kustomization.yaml`,
  )
  const generated = (configMapGenerator ?? []).map(({ name, files }): object => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name },
    data: Object.fromEntries(files.map((file) => [file, read(from + file)])),
  })) as Manifest[]
  const all = [...manifests((resources ?? []).map((file) => from + file)), ...generated]
  const pairs = Object.assign({}, ...(labels ?? []).map((one) => one.pairs)) as Labels
  return all.map((one) => {
    const { metadata, kind } = one
    const placed = {
      ...metadata,
      ...(kind === 'Namespace' ? {} : { namespace }),
      ...(Object.keys(pairs).length === 0 ? {} : { labels: { ...metadata.labels, ...pairs } }),
    }
    return withImages({ ...one, metadata: placed } as Manifest, images ?? [])
  })
}

function withImages(one: Manifest, images: NonNullable<Kustomization['images']>): Manifest {
  return JSON.parse(JSON.stringify(one), (key, value: unknown) => {
    if (key !== 'image') return value
    const found = images.find(({ name }) => String(value).split(':')[0] === name)
    return found === undefined ? value : `${found.newName}:${found.newTag}`
  }) as Manifest
}

export function kustomization(path: string): Kustomization {
  return parse(read(path)) as Kustomization
}

export function manifest<Spec>(kind: string, name = 'switchback'): Manifest<Spec> {
  const found = manifests().find((one) => one.kind === kind && one.metadata.name === name)
  if (found === undefined) throw new Error(`no ${kind} ${name}`)
  return found as Manifest<Spec>
}
