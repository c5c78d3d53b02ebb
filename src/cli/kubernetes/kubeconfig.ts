import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { messageOf, quote, SwitchbackError } from '../../errors.ts'
import { LOAD } from '../../load-package.ts'

/** How a cluster is reached, and as whom. */
export interface Cluster {
  /** For messages: `the context "prod"`, `this pod's service account`. */
  readonly name: string
  /** E.g. `https://10.0.0.1:6443`; a path in it stays. */
  readonly server: string
  /** PEM; `undefined`: the authorities of Node.js. */
  readonly ca?: string | undefined
  /** Checked instead of the host name. */
  readonly serverName?: string | undefined
  /** The server's certificate is not checked, because the kubeconfig says so. */
  readonly insecure?: boolean
  readonly user: ClusterUser
  /** Where objects are, unless `--namespace` says otherwise. */
  readonly namespace: string
}

/** One of the ways to say who asks. */
export interface ClusterUser {
  readonly token?: string | undefined
  /** Read again for each request: Kubernetes replaces the token of a pod every hour. */
  readonly tokenFile?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly exec?: ExecPlugin | undefined
}

/** A program that prints credentials, as the clouds have them. */
export interface ExecPlugin {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly apiVersion: string
  /** Where the program starts, and paths in the kubeconfig begin. */
  readonly directory: string
  readonly installHint: string
}

export interface FindClusterOptions {
  /** @default the current one */
  readonly context?: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  /** Where Kubernetes mounts the service account. @default the usual place */
  readonly serviceAccount?: string
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * A kubeconfig that is named (`--context`, `KUBECONFIG`), else the service account of this pod, else
 * `~/.kube/config`.
 *
 * @throws {SwitchbackError} `SB_KUBERNETES_CONFIG`
 */
export async function findCluster(options: FindClusterOptions): Promise<Cluster> {
  const { context, env, serviceAccount = SERVICE_ACCOUNT } = options
  const named = env['KUBECONFIG'] || undefined
  if (context === undefined && named === undefined) {
    const inside = await insidePod(env, serviceAccount)
    if (inside !== undefined) return inside
  }
  const files = named?.split(delimiter).filter((file) => file !== '') ?? [
    join(env['HOME'] || homedir(), '.kube', 'config'),
  ]
  return clusterOf(await readConfigs(files), context, files)
}

async function insidePod(
  env: FindClusterOptions['env'],
  directory: string,
): Promise<Cluster | undefined> {
  const host = env['KUBERNETES_SERVICE_HOST']
  if (!host) return undefined
  const tokenFile = join(directory, 'token')
  const [token, ca, namespace] = await Promise.all(
    [tokenFile, join(directory, 'ca.crt'), join(directory, 'namespace')].map((file) =>
      readFile(file, 'utf8').catch(() => undefined),
    ),
  )
  if (token === undefined) return undefined
  const port = env['KUBERNETES_SERVICE_PORT'] || '443'
  return {
    name: "this pod's service account",
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca,
    user: { tokenFile },
    namespace: namespace?.trim() || 'default',
  }
}

/** An entry of a kubeconfig, and the directory in which its paths begin. */
interface Entry {
  readonly directory: string
  readonly body: Fields
}

type Fields = Readonly<Record<string, unknown>>

interface Configs {
  readonly current: string | undefined
  readonly clusters: ReadonlyMap<string, Entry>
  readonly users: ReadonlyMap<string, Entry>
  readonly contexts: ReadonlyMap<string, Entry>
}

/** Of several files the first one that has a name counts, as for kubectl; missing ones are left out. */
async function readConfigs(files: readonly string[]): Promise<Configs> {
  let current: string | undefined
  const [clusters, users, contexts] = [new Map(), new Map(), new Map()] as Map<string, Entry>[]
  let found = false
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw configError(`cannot read ${quote(file)}: ${codeOf(error)}`, 'check KUBECONFIG')
    })
    if (text === undefined) continue
    found = true
    const config = parse(text, file)
    current ??= textIn(config, 'current-context')
    const directory = dirname(resolve(file))
    for (const [list, into, part] of [
      ['clusters', clusters, 'cluster'],
      ['users', users, 'user'],
      ['contexts', contexts, 'context'],
    ] as const) {
      for (const each of listIn(config, list)) {
        const name = textIn(each, 'name')
        if (name === undefined || into?.has(name)) continue
        into?.set(name, { directory, body: fieldsIn(each, part) })
      }
    }
  }
  if (!found) {
    throw configError(
      `no kubeconfig: ${files.map(quote).join(', ')} does not exist, and there is no service account of a pod either`,
      'set KUBECONFIG, or log in to the cluster so that kubectl works',
    )
  }
  return { current, clusters: clusters!, users: users!, contexts: contexts! }
}

function parse(text: string, file: string): Fields {
  try {
    const value: unknown = (LOAD.yaml() as typeof import('yaml')).parse(text)
    if (isFields(value)) return value
    throw new Error('expected a mapping')
  } catch (error) {
    const why = messageOf(error).split('\n', 1)[0] ?? ''
    throw configError(`the kubeconfig ${quote(file)} is invalid: ${why}`, 'check it with kubectl')
  }
}

async function clusterOf(
  { current, clusters, users, contexts }: Configs,
  asked: string | undefined,
  files: readonly string[],
): Promise<Cluster> {
  const name = asked ?? current
  const names = [...contexts.keys()].slice(0, 8).map(quote).join(', ') || 'none'
  if (name === undefined || name === '') {
    throw configError(`${files.map(quote).join(', ')} has no current context`, has(names))
  }
  const context = contexts.get(name)
  if (context === undefined) {
    throw configError(`the kubeconfig has no context ${quote(name)}`, has(names))
  }
  const of = textIn(context.body, 'cluster') ?? ''
  const cluster = clusters.get(of)
  const server = cluster === undefined ? undefined : textIn(cluster.body, 'server')
  if (cluster === undefined || server === undefined || !isHttp(server)) {
    throw configError(
      `the context ${quote(name)} names the cluster ${quote(of)}, which has no server in the kubeconfig`,
      'correct the kubeconfig, or name another context with --context',
    )
  }
  if (textIn(cluster.body, 'proxy-url') !== undefined) throw unsupported(name, 'proxy-url')
  const user = users.get(textIn(context.body, 'user') ?? '')
  return {
    name: `the context ${quote(name)}`,
    server,
    ca: await pem(cluster, 'certificate-authority'),
    serverName: textIn(cluster.body, 'tls-server-name'),
    insecure: cluster.body['insecure-skip-tls-verify'] === true,
    user: user === undefined ? {} : await userOf(user, name),
    namespace: textIn(context.body, 'namespace') ?? 'default',
  }
}

async function userOf(entry: Entry, context: string): Promise<ClusterUser> {
  const { body, directory } = entry
  for (const way of ['auth-provider', 'username', 'as']) {
    if (body[way] !== undefined) throw unsupported(context, way)
  }
  const tokenFile = textIn(body, 'tokenFile')
  return {
    token: textIn(body, 'token'),
    tokenFile: tokenFile === undefined ? undefined : resolve(directory, tokenFile),
    cert: await pem(entry, 'client-certificate'),
    key: await pem(entry, 'client-key'),
    exec: body['exec'] === undefined ? undefined : pluginOf(fieldsIn(body, 'exec'), directory),
  }
}

function pluginOf(exec: Fields, directory: string): ExecPlugin {
  const pairs = listIn(exec, 'env').map(
    (each) => [textIn(each, 'name') ?? '', textIn(each, 'value') ?? ''] as const,
  )
  const args = exec['args']
  return {
    command: textIn(exec, 'command') ?? '',
    args: Array.isArray(args) ? args.map(String) : [],
    env: Object.fromEntries(pairs),
    apiVersion: textIn(exec, 'apiVersion') ?? 'client.authentication.k8s.io/v1',
    directory,
    installHint: textIn(exec, 'installHint') ?? '',
  }
}

/** `<name>-data` in Base64 wins over the file that `<name>` names. */
async function pem({ body, directory }: Entry, name: string): Promise<string | undefined> {
  const data = textIn(body, `${name}-data`)
  if (data !== undefined) return Buffer.from(data, 'base64').toString()
  const file = textIn(body, name)
  if (file === undefined) return undefined
  const path = resolve(directory, file)
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw configError(`cannot read the ${name} ${quote(path)}: ${codeOf(error)}`, 'log in again')
  })
}

function configError(message: string, hint: string): SwitchbackError {
  return new SwitchbackError('SB_KUBERNETES_CONFIG', message, { hint })
}

function unsupported(context: string, way: string): SwitchbackError {
  return configError(
    `the context ${quote(context)} uses ${quote(way)}, which switchback does not support`,
    'run kubectl proxy, and set KUBECONFIG to a file whose cluster has the server http://127.0.0.1:8001',
  )
}

function has(names: string): string {
  return `name one with --context; its contexts: ${names}`
}

function isHttp(server: string): boolean {
  return URL.canParse(server) && /^https?:$/.test(new URL(server).protocol)
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fieldsIn(of: Fields, name: string): Fields {
  const value = of[name]
  return isFields(value) ? value : {}
}

function listIn(of: Fields, name: string): Fields[] {
  const value = of[name]
  return Array.isArray(value) ? value.filter(isFields) : []
}

function textIn(of: Fields, name: string): string | undefined {
  const value = of[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : messageOf(error)
}
