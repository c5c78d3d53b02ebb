import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

/** What the server does instead of answering; each once. */
export type Fault =
  /** 500, 503, 429 and the like. */
  | { readonly status: number; readonly message: string }
  /** The connection breaks before the request counts, or after it. */
  | 'cut-before'
  | 'cut-after'
  | 'hang'

interface Stored {
  kind: string
  metadata: {
    name: string
    namespace: string
    resourceVersion: string
    annotations?: Record<string, string>
    [more: string]: unknown
  }
  [more: string]: unknown
}

export interface FakeKubernetes extends AsyncDisposable {
  readonly url: string
  /** By path, e.g. `/api/v1/namespaces/shop/configmaps/flags`. */
  readonly objects: Map<string, Stored>
  /** `METHOD path?query`, in order. */
  readonly asked: string[]
  /** Verbs that the token has. */
  rights: Set<'get' | 'update' | 'list' | 'create'>
  /** The objects that it has them to. @default all */
  names: ReadonlySet<string> | undefined
  /** The bearer token that is accepted. */
  token: string
  /** Taken from the front for the next requests of this method. */
  readonly faults: { GET: Fault[]; PUT: Fault[] }
  /** Before a PUT is compared: what another writer does in the meantime. */
  onPut: (() => void) | undefined
  /** Writes as another client does. */
  edit(path: string, change: (object: Stored) => void): void
  /** Of a ConfigMap. */
  data(path: string): Record<string, string>
}

const CONFIGMAPS = /^\/api\/v1\/namespaces\/([^/]+)\/configmaps(?:\/([^/]+))?$/
const LEASES = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/([^/]+)\/leases(?:\/([^/]+))?$/
const FEATUREFLAGS =
  /^\/apis\/core\.openfeature\.dev\/v1beta1\/namespaces\/([^/]+)\/featureflags(?:\/([^/]+))?$/

/**
 * The few calls of the Kubernetes API that Switchback makes: GET and PUT of a ConfigMap, a
 * FeatureFlag and a Lease, with `resourceVersion`, `dryRun=All`, validation, rights. Its answers are held to those that
 * a real kube-apiserver gave (cli/kubernetes-server). No watch, so no 410.
 */
export async function fakeKubernetes(
  options: {
    readonly tls?: { readonly key: string; readonly cert: string; readonly ca?: string }
    readonly featureFlags?: boolean
  } = {},
): Promise<FakeKubernetes> {
  let version = 1000
  const { tls, featureFlags = true } = options
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://host')
    const method = request.method as 'GET' | 'PUT'
    fake.asked.push(`${method} ${url.pathname}${url.search}`)
    const send = (code: number, value: unknown): void => {
      const text = typeof value === 'string' ? value : JSON.stringify(value)
      const type = typeof value === 'string' ? 'text/plain; charset=utf-8' : 'application/json'
      response.writeHead(code, { 'content-type': type }).end(text)
    }
    const fail = (code: number, reason: string, message: string, details?: object): void =>
      send(code, {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Failure',
        message,
        reason,
        ...(details === undefined ? {} : { details }),
        code,
      })
    const fault = fake.faults[method]?.shift()
    if (fault === 'hang') return
    if (fault === 'cut-before') return void request.socket.destroy()
    if (typeof fault === 'object') return fail(fault.status, 'InternalError', fault.message)
    if (fake.token !== '' && request.headers.authorization !== `Bearer ${fake.token}`) {
      return fail(401, 'Unauthorized', 'Unauthorized')
    }
    const custom = featureFlags ? FEATUREFLAGS.exec(url.pathname) : null
    const match = CONFIGMAPS.exec(url.pathname) ?? custom ?? LEASES.exec(url.pathname)
    if (match === null) return send(404, '404 page not found\n')
    const [, namespace = '', name = ''] = match
    const [resource, group] = url.pathname.startsWith('/api/')
      ? ['configmaps', '']
      : custom === null
        ? ['leases', 'coordination.k8s.io']
        : ['featureflags', 'core.openfeature.dev']
    const qualified = group === '' ? resource : `${resource}.${group}`
    const verb = verbOf(request.method ?? '', name)
    const details = {
      ...(name === '' ? {} : { name }),
      ...(group === '' ? {} : { group }),
      kind: resource,
    }
    const granted = fake.rights.has(verb as 'get') && (fake.names?.has(name) ?? true)
    if (!granted) {
      const object = name === '' ? qualified : `${qualified} "${name}"`
      const who = `User "system:serviceaccount:${namespace}:switchback-rollout"`
      const what = `cannot ${verb} resource "${resource}" in API group "${group}" in the namespace "${namespace}"`
      return fail(403, 'Forbidden', `${object} is forbidden: ${who} ${what}`, details)
    }
    const missing = (): void => fail(404, 'NotFound', `${qualified} "${name}" not found`, details)
    if (method === 'GET') {
      const object = fake.objects.get(url.pathname)
      return object === undefined ? missing() : send(200, object)
    }
    if (method !== 'PUT') return fail(405, 'MethodNotAllowed', 'not of this server')
    const given = JSON.parse(await readAll(request)) as Stored
    fake.onPut?.()
    const object = fake.objects.get(url.pathname)
    if (object === undefined) return missing()
    const problem = wrong(given, object)
    if (given.metadata.name !== name) {
      const both = `the name of the object (${given.metadata.name}) does not match the name on the URL (${name})`
      return fail(400, 'BadRequest', both)
    }
    const told = given.metadata.resourceVersion
    if (told === undefined && group !== '') {
      const what = 'metadata.resourceVersion: Invalid value: 0: must be specified for an update'
      return fail(422, 'Invalid', `${qualified} "${name}" is invalid: ${what}`, details)
    }
    if (told !== undefined && told !== object.metadata.resourceVersion) {
      const what = `Operation cannot be fulfilled on ${qualified} "${name}": the object has been modified; please apply your changes to the latest version and try again`
      return fail(409, 'Conflict', what, details)
    }
    if (problem !== '') {
      const kind = group === '' ? object.kind : `${object.kind}.${group}`
      const about = { ...details, kind: object.kind }
      return fail(422, 'Invalid', `${kind} "${name}" is invalid: ${problem}`, about)
    }
    const next = normal(given, custom !== null)
    // The server writes nothing when nothing changes, and the version stays.
    const same = JSON.stringify(next) === JSON.stringify(normal(object, custom !== null))
    if (!same && url.searchParams.get('dryRun') !== 'All') {
      next.metadata.resourceVersion = String(++version)
      fake.objects.set(url.pathname, next)
    }
    if (fault === 'cut-after') return void request.socket.destroy()
    send(200, same ? object : next)
  }
  const listener = (request: IncomingMessage, response: ServerResponse): void =>
    void answer(request, response)
  const server =
    tls === undefined
      ? createServer(listener)
      : createSecureServer(
          tls.ca === undefined ? tls : { ...tls, requestCert: true, rejectUnauthorized: true },
          listener,
        )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const fake: FakeKubernetes = {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    objects: new Map(),
    asked: [],
    rights: new Set(['get', 'update']),
    names: undefined,
    token: 'a-token',
    faults: { GET: [], PUT: [] },
    onPut: undefined,
    edit(path, change) {
      const object = structuredClone(fake.objects.get(path)!)
      change(object)
      object.metadata.resourceVersion = String(++version)
      fake.objects.set(path, normal(object, FEATUREFLAGS.test(path)))
    },
    data: (path) => fake.objects.get(path)?.['data'] as Record<string, string>,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return fake
}

function verbOf(method: string, name: string): string {
  if (method === 'GET') return name === '' ? 'list' : 'get'
  return { PUT: 'update', POST: 'create', PATCH: 'patch', DELETE: 'delete' }[method] ?? method
}

/** As `kubectl create` leaves it. */
export function addObject(
  fake: FakeKubernetes,
  kind: 'ConfigMap' | 'FeatureFlag' | 'Lease',
  name: string,
  body: object,
  namespace = 'shop',
): string {
  const custom = kind === 'FeatureFlag'
  const apiVersion = {
    ConfigMap: 'v1',
    FeatureFlag: 'core.openfeature.dev/v1beta1',
    Lease: 'coordination.k8s.io/v1',
  }[kind]
  const place = `/${apiVersion.includes('/') ? 'apis' : 'api'}/${apiVersion}`
  const path = `${place}/namespaces/${namespace}/${kind.toLowerCase()}s/${name}`
  const metadata = {
    name,
    namespace,
    uid: randomUUID(),
    resourceVersion: '900',
    creationTimestamp: '2026-11-26T08:00:00Z',
    labels: { team: 'shop' },
    managedFields: [{ manager: 'kubectl-create', operation: 'Update', apiVersion: 'v1' }],
  }
  fake.objects.set(
    path,
    normal(
      { apiVersion, kind, metadata, ...(kind === 'Lease' ? { spec: {} } : {}), ...body },
      custom,
    ),
  )
  return path
}

interface Flags {
  readonly flags: Readonly<Record<string, { readonly state?: string }>>
}

/** Why the server refuses an update. */
function wrong(given: Stored, old: Stored): string {
  const annotations = Object.entries(given.metadata.annotations ?? {}).flat()
  const size = annotations.reduce((sum, part) => sum + Buffer.byteLength(part), 0)
  if (size > 262_144) {
    return 'metadata.annotations: Too long: may not be more than 262144 bytes'
  }
  const changed = JSON.stringify(given['data']) !== JSON.stringify(old['data'])
  if (old['immutable'] === true && changed) {
    return 'data: Forbidden: field is immutable when `immutable` is set'
  }
  const { spec = {} } = given as { spec?: { leaseDurationSeconds?: number; flagSpec?: Flags } }
  if (spec.leaseDurationSeconds === 0) {
    return 'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0'
  }
  for (const [name, { state = 'ENABLED' }] of Object.entries(spec.flagSpec?.flags ?? {})) {
    if (state === 'ENABLED' || state === 'DISABLED') continue
    return `spec.flagSpec.flags.${name}.state: Unsupported value: "${state}": supported values: "ENABLED", "DISABLED"`
  }
  return ''
}

/** Keys of maps are sorted; of a FeatureFlag, fields that its schema does not have are dropped. */
function normal(object: Stored, custom: boolean): Stored {
  const sorted = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(sorted)
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]))
  }
  const next = sorted(structuredClone(object)) as Stored
  if (!custom) return next
  const { flagSpec } = next['spec'] as { flagSpec: { flags: Record<string, object> } }
  for (const [name, flag] of Object.entries(flagSpec.flags)) {
    const known = Object.entries(flag).filter(([key]) =>
      ['defaultVariant', 'metadata', 'state', 'targeting', 'variants'].includes(key),
    )
    flagSpec.flags[name] = Object.fromEntries(known)
  }
  return next
}

async function readAll(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}

/** Writes the keys of a ConfigMap into a directory as the kubelet does: a new one, then one rename. */
export async function project(
  directory: string,
  data: Readonly<Record<string, string>>,
): Promise<void> {
  const fresh = `..${new Date().toISOString().replaceAll(/\D/g, '_')}${randomUUID().slice(0, 4)}`
  await mkdir(join(directory, fresh), { recursive: true })
  for (const [key, text] of Object.entries(data)) {
    await writeFile(join(directory, fresh, key), text)
  }
  const old = await readFile(join(directory, '..was'), 'utf8').catch(() => '')
  await symlink(fresh, join(directory, '..data_tmp'))
  await rename(join(directory, '..data_tmp'), join(directory, '..data'))
  for (const key of Object.keys(data)) {
    await symlink(join('..data', key), join(directory, key)).catch(() => {})
  }
  await writeFile(join(directory, '..was'), fresh)
  if (old !== '') await rm(join(directory, old), { recursive: true, force: true })
}
