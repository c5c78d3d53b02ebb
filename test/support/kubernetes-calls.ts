import { rule, split } from './flags-files.ts'
import type { Answered } from './kubernetes-server.ts'

/** One call of the API, and who asks. */
export interface Call {
  readonly name: string
  readonly as: 'admin' | 'guard' | 'nobody'
  readonly method: string
  readonly path: string
  /** @param found what the last answer of this path was, or of `from` */
  readonly body?: (found: any) => unknown
}

/** Plays a call against some server. */
export type Ask = (call: Omit<Call, 'name' | 'body'>, body: unknown) => Promise<Answered>

const NS = 'namespaces/switchback'
export const CONFIGMAP: string = `/api/v1/${NS}/configmaps/switchback-flags`
export const FEATUREFLAG: string = `/apis/core.openfeature.dev/v1beta1/${NS}/featureflags/switchback-flags`
export const LEASE: string = `/apis/coordination.k8s.io/v1/${NS}/leases/switchback-flags-use-redis`

const flag = (share: number): object => rule(split(share))

/** The objects that a person made before. */
export const OBJECTS: readonly {
  readonly kind: 'ConfigMap' | 'FeatureFlag'
  readonly path: string
  readonly body: object
}[] = [
  {
    kind: 'ConfigMap',
    path: CONFIGMAP,
    body: { data: { 'use-redis.json': JSON.stringify({ flags: { 'use-redis': flag(10) } }) } },
  },
  {
    kind: 'FeatureFlag',
    path: FEATUREFLAG,
    body: { spec: { flagSpec: { flags: { 'use-redis': flag(10) } } } },
  },
]

const annotated = (object: any, annotations: Record<string, string>): unknown => ({
  ...object,
  metadata: { ...object.metadata, annotations: { ...object.metadata.annotations, ...annotations } },
})
const version = (object: any, resourceVersion: string | undefined): unknown => {
  const { resourceVersion: _, ...metadata } = object.metadata
  const told = resourceVersion === undefined ? {} : { resourceVersion }
  return { ...object, metadata: { ...metadata, ...told } }
}
const same = (object: unknown): unknown => object
const get = (name: string, path: string, as: Call['as'] = 'guard'): Call => ({
  name,
  as,
  method: 'GET',
  path,
})
const put = (
  name: string,
  path: string,
  body: (found: any) => unknown,
  as: Call['as'] = 'guard',
): Call => ({ name, as, method: 'PUT', path, body })

function onObject(kind: string, path: string, change: (object: any) => unknown): Call[] {
  const collection = path.slice(0, path.lastIndexOf('/'))
  return [
    get(`${kind}: read`, path),
    put(`${kind}: replaced by itself`, path, same),
    put(`${kind}: another writer asks first, without effect`, `${path}?dryRun=All`, change),
    get(`${kind}: read after the write without effect`, path),
    put(`${kind}: changed`, path, change),
    get(`${kind}: read after the change`, path),
    put(`${kind}: an annotation more`, path, (object) =>
      annotated(object, { 'switchback/a': 'b' }),
    ),
    put(`${kind}: of an older version`, path, (object) => version(object, '1')),
    put(`${kind}: of an older version, without effect`, `${path}?dryRun=All`, (object) =>
      version(object, '1'),
    ),
    put(`${kind}: without a version`, path, (object) =>
      annotated(version(object, undefined), { 'switchback/a': 'c' }),
    ),
    put(`${kind}: with another name`, path, (object) => ({
      ...object,
      metadata: { ...object.metadata, name: 'another' },
    })),
    get(`${kind}: read again`, path),
    put(`${kind}: too many annotations`, path, (object) =>
      annotated(object, { 'switchback/a': 'x'.repeat(262_144) }),
    ),
    get(`${kind}: another one`, `${collection}/another`),
    put(`${kind}: another one replaced`, `${collection}/another`, () => ({})),
    get(`${kind}: all of them`, collection),
    { name: `${kind}: created`, as: 'guard', method: 'POST', path: collection, body: () => ({}) },
    { name: `${kind}: patched`, as: 'guard', method: 'PATCH', path, body: () => ({}) },
    { name: `${kind}: deleted`, as: 'guard', method: 'DELETE', path },
    get(`${kind}: of a person, one that is missing`, `${collection}/missing`, 'admin'),
    get(`${kind}: with the token of nobody`, path, 'nobody'),
  ]
}

/** Before the kind of the operator exists. */
export const BEFORE_THE_KIND: readonly Call[] = [get('FeatureFlag: no such kind', FEATUREFLAG)]

export const CALLS: readonly Call[] = [
  ...onObject('ConfigMap', CONFIGMAP, (object) => ({
    ...object,
    data: { 'b.json': '{}', a: 'x' },
  })),
  put('ConfigMap: made immutable', CONFIGMAP, (object) => ({ ...object, immutable: true })),
  put('ConfigMap: immutable, an annotation', CONFIGMAP, (object) =>
    annotated(object, { 'switchback/a': 'd' }),
  ),
  put('ConfigMap: immutable, data', CONFIGMAP, (object) => ({ ...object, data: { a: 'y' } })),
  ...onObject('FeatureFlag', FEATUREFLAG, (object) => ({
    ...object,
    spec: { flagSpec: { flags: { 'use-redis': { ...flag(25), unknown: 1, metadata: { a: 1 } } } } },
  })),
  get('FeatureFlag: read once more', FEATUREFLAG),
  put('FeatureFlag: a state that there is not', FEATUREFLAG, (object) => ({
    ...object,
    spec: { flagSpec: { flags: { 'use-redis': { ...flag(25), state: 'OFF' } } } },
  })),
  ...onObject('Lease', LEASE, (object) => ({
    ...object,
    spec: {
      holderIdentity: 'a guard_1',
      leaseDurationSeconds: 15,
      acquireTime: '2026-11-26T20:00:00.000000Z',
      renewTime: '2026-11-26T20:00:00.123000Z',
      leaseTransitions: 1,
    },
  })),
  get('Lease: read once more', LEASE),
  put('Lease: given back', LEASE, (object) => ({
    ...object,
    spec: { ...object.spec, holderIdentity: '', leaseDurationSeconds: 1 },
  })),
  put('Lease: a duration that there is not', LEASE, (object) => ({
    ...object,
    spec: { ...object.spec, leaseDurationSeconds: 0 },
  })),
]

/** Plays them one after the other. What differs from run to run is named, the same thing always alike. */
export async function play(ask: Ask, calls: readonly Call[]): Promise<Record<string, Answered>> {
  const found = new Map<string, unknown>()
  const named = new Map<string, Map<string, string>>()
  const answers: Record<string, Answered> = {}
  for (const { name, body, ...call } of calls) {
    const [path = ''] = call.path.split('?')
    const sent = body?.(found.get(path))
    const { status, body: answer } = await ask(call, sent)
    const dry = call.path.includes('dryRun')
    if (status === 200 && !dry) found.set(path, structuredClone(answer))
    const names = named.get(path) ?? new Map<string, string>()
    named.set(path, names)
    answers[name] = { status, body: likeAlways(answer, names) }
  }
  return answers
}

/** Not looked at by Switchback; what is of the object goes back as it came. */
const UNUSED: ReadonlySet<string> = new Set(['managedFields', 'labels', 'generation', 'causes'])

function likeAlways(value: unknown, names: Map<string, string>, key = ''): unknown {
  if (Array.isArray(value)) return value.map((each) => likeAlways(each, names))
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
      .filter(([each]) => !UNUSED.has(each))
      .sort(([a], [b]) => (a < b ? -1 : 1))
    return Object.fromEntries(
      entries.map(([each, inner]) => [each, likeAlways(inner, names, each)]),
    )
  }
  if (key === 'resourceVersion' && value !== '') {
    const told = String(value)
    const name = names.get(told) ?? `version ${[...names].length + 1}`
    names.set(told, name)
    return name
  }
  if (key === 'uid' || key === 'creationTimestamp') return key
  if (typeof value === 'string' && value.length > 2000) return `${value.length} characters`
  return value
}
