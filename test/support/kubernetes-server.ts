import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { parseAllDocuments } from 'yaml'
import { freePort } from '../../src/cli/provision/index.ts'
import { until } from './until.ts'

/** What a server answered: of JSON the value, else the text. */
export interface Answered {
  readonly status: number
  readonly body: unknown
}

export interface RealKubernetes extends AsyncDisposable {
  readonly url: string
  /** The certificate that a client trusts. */
  readonly ca: string
  /** The token of the account that deploy/kubernetes-api makes, with the Role that it ships. */
  readonly guardToken: string
  ask(
    as: 'admin' | 'guard' | 'nobody',
    method: string,
    path: string,
    body?: unknown,
  ): Promise<Answered>
  /** A kubeconfig of the account, whose namespace is `switchback`. */
  kubeconfig(as: 'admin' | 'guard'): string
  /** `kill -9` of the API server; etcd goes on. */
  kill(): Promise<void>
  start(): Promise<void>
}

const ADMIN = 'admin-token'
const NAMESPACE = 'switchback'

/** Tests with a real server run where both programs are named, by a person or a pipeline that has them. */
export function kubernetesPrograms():
  | { readonly apiserver: string; readonly etcd: string }
  | undefined {
  const { KUBE_APISERVER_BIN: apiserver, ETCD_BIN: etcd } = process.env
  return apiserver && etcd ? { apiserver, etcd } : undefined
}

/** A kube-apiserver over etcd with the namespace, the account and the Role of deploy/kubernetes-api. */
export async function realKubernetes(): Promise<RealKubernetes> {
  const programs = kubernetesPrograms()
  if (programs === undefined) throw new Error('KUBE_APISERVER_BIN and ETCD_BIN name no programs')
  const directory = mkdtempSync(join(tmpdir(), 'kubernetes-'))
  const [client, peer, port] = [await freePort(), await freePort(), await freePort()]
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = join(directory, 'sa.key')
  writeFileSync(key, privateKey.export({ type: 'pkcs1', format: 'pem' }))
  writeFileSync(join(directory, 'tokens.csv'), `${ADMIN},admin,1,"system:masters"\n`)
  const children: ChildProcess[] = []
  const run = (program: string, args: readonly string[]): ChildProcess => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr!.on('data', (chunk) => (said = (said + String(chunk)).slice(-4000)))
    child.on('exit', (code) => {
      if (code !== null && code !== 0) console.error(`${program} ended with ${code}: ${said}`)
    })
    children.push(child)
    return child
  }
  const etcd = `http://127.0.0.1:${client}`
  run(programs.etcd, [
    `--data-dir=${join(directory, 'etcd')}`,
    `--listen-client-urls=${etcd}`,
    `--advertise-client-urls=${etcd}`,
    `--listen-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-cluster=default=http://127.0.0.1:${peer}`,
    '--unsafe-no-fsync',
    '--log-level=error',
  ])
  const url = `https://127.0.0.1:${port}`
  const certificate = join(directory, 'certs', 'apiserver.crt')
  const tokens: Record<string, string> = { admin: ADMIN, guard: '', nobody: 'a-token-of-nobody' }
  let server: ChildProcess | undefined

  const ask: RealKubernetes['ask'] = async (as, method, path, body) => {
    const sent = body === undefined ? undefined : JSON.stringify(body)
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    const call = request(url + path, {
      method,
      ca: readFileSync(certificate),
      headers: {
        authorization: `Bearer ${tokens[as]}`,
        accept: 'application/json',
        ...(sent === undefined ? {} : { 'content-type': type }),
      },
    })
    call.end(sent)
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    const answer = await textOf(response)
    const json = response.headers['content-type']?.startsWith('application/json') === true
    return { status: response.statusCode!, body: json ? JSON.parse(answer) : answer }
  }
  const start = async (): Promise<void> => {
    server = run(programs.apiserver, [
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${join(directory, 'certs')}`,
      '--authorization-mode=RBAC',
      `--token-auth-file=${join(directory, 'tokens.csv')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${key}`,
      `--service-account-signing-key-file=${key}`,
      '--service-cluster-ip-range=10.0.0.0/24',
    ])
    const ready = (): Promise<boolean> =>
      ask('admin', 'GET', '/readyz').then(
        ({ status }) => status === 200,
        () => false,
      )
    await until('the API server is ready', ready)
  }
  await start()
  const made = async (path: string, object: unknown): Promise<unknown> => {
    const { status, body } = await ask('admin', 'POST', path, object)
    if (status !== 201) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`)
    return body
  }
  await made('/api/v1/namespaces', { metadata: { name: NAMESPACE } })
  const collections: Readonly<Record<string, string>> = {
    ServiceAccount: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
    Role: `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/roles`,
    RoleBinding: `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/rolebindings`,
    Lease: `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`,
  }
  const shipped = readFileSync('deploy/kubernetes-api/rbac.yaml', 'utf8')
  for (const document of parseAllDocuments(shipped)) {
    const object = document.toJS() as { kind: string; subjects?: object[] }
    // As kustomize fills it in.
    const subjects = object.subjects?.map((one) => ({ ...one, namespace: NAMESPACE }))
    await made(collections[object.kind]!, subjects === undefined ? object : { ...object, subjects })
  }
  const account = `${collections['ServiceAccount']}/switchback-rollout/token`
  const { status } = (await made(account, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {},
  })) as { status: { token: string } }
  tokens['guard'] = status.token
  const end = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  return {
    url,
    ca: readFileSync(certificate, 'utf8'),
    guardToken: status.token,
    ask,
    start,
    kubeconfig: (as) =>
      JSON.stringify({
        'current-context': 'here',
        contexts: [
          { name: 'here', context: { cluster: 'here', user: 'here', namespace: NAMESPACE } },
        ],
        clusters: [
          { name: 'here', cluster: { server: url, 'certificate-authority': certificate } },
        ],
        users: [{ name: 'here', user: { token: tokens[as] } }],
      }),
    kill: () => end(server!),
    async [Symbol.asyncDispose]() {
      for (const child of children.toReversed()) await end(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/**
 * The kind of the OpenFeature Operator, with what its schema says of flags: three fields are required, and
 * what it does not name is dropped.
 */
export const featureFlagKind: object = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'featureflags.core.openfeature.dev' },
  spec: {
    group: 'core.openfeature.dev',
    scope: 'Namespaced',
    names: {
      kind: 'FeatureFlag',
      listKind: 'FeatureFlagList',
      plural: 'featureflags',
      singular: 'featureflag',
    },
    versions: [
      {
        name: 'v1beta1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  flagSpec: {
                    type: 'object',
                    required: ['flags'],
                    properties: {
                      $evaluators: anything(),
                      metadata: anything(),
                      flags: {
                        type: 'object',
                        additionalProperties: {
                          type: 'object',
                          required: ['defaultVariant', 'state', 'variants'],
                          properties: {
                            defaultVariant: { type: 'string' },
                            metadata: anything(),
                            state: { type: 'string', enum: ['ENABLED', 'DISABLED'] },
                            targeting: anything(),
                            variants: anything(),
                          },
                        },
                      },
                    },
                  },
                },
              },
              status: { type: 'object' },
            },
          },
        },
      },
    ],
  },
}

function anything(): {
  readonly type: 'object'
  readonly 'x-kubernetes-preserve-unknown-fields': true
} {
  return { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
}
