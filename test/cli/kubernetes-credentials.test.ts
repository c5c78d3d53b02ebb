import { execFileSync } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { KubernetesApi, type ObjectPath } from '../../src/cli/kubernetes/kubernetes-api.ts'
import { findCluster } from '../../src/cli/kubernetes/kubeconfig.ts'
import { temporaryDirectory } from '../rollout/support.ts'
import { addObject, type FakeKubernetes, fakeKubernetes } from '../support/kubernetes-api.ts'

const at = (path: string): ObjectPath => ({ path, name: 'it', rights: 'get', noKind: 'no' })

async function withObject(
  tls?: Parameters<typeof fakeKubernetes>[0],
): Promise<{ api: FakeKubernetes; path: string; directory: string }> {
  const api = await fakeKubernetes(tls)
  onTestFinished(() => api[Symbol.asyncDispose]())
  const path = addObject(api, 'ConfigMap', 'flags', { data: { a: 'b' } })
  return { api, path, directory: await temporaryDirectory() }
}

async function config(
  directory: string,
  server: string,
  user: string,
  cluster = '',
): Promise<string> {
  const file = join(directory, 'config')
  await writeFile(
    file,
    `{"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
      "clusters": [{"name": "a", "cluster": {"server": "${server}"${cluster}}}],
      "users": [{"name": "a", "user": ${user}}]}`,
  )
  return file
}

async function kindAt(file: string, path: string, env = {}): Promise<string> {
  const cluster = await findCluster({ env: { KUBECONFIG: file } })
  const api = new KubernetesApi({ cluster, env: { PATH: process.env['PATH'], ...env } })
  return (await api.get(at(path))).kind
}

it('a program of the kubeconfig is asked for a token, and again when the server refuses it', async () => {
  const { api, path, directory } = await withObject()
  const program = join(directory, 'login')
  await writeFile(
    program,
    `#!/bin/sh
echo asked >> "$LOG"
test -n "$KUBERNETES_EXEC_INFO" && test "$1" = get || exit 1
printf '{"kind":"ExecCredential","status":{"token":"token-%s"}}' "$(wc -l < "$LOG" | tr -d ' ')"
`,
  )
  await chmod(program, 0o755)
  const log = join(directory, 'log')
  const exec = { command: './login', args: ['get'], env: [{ name: 'LOG', value: log }] }
  const file = await config(directory, api.url, JSON.stringify({ exec }))
  api.token = 'token-1'
  const cluster = await findCluster({ env: { KUBECONFIG: file } })
  const client = new KubernetesApi({ cluster, env: { PATH: process.env['PATH'] } })
  expect((await client.get(at(path))).kind).toBe('ConfigMap')
  await client.get(at(path))
  expect(await readFile(log, 'utf8')).toBe('asked\n')
  api.token = 'token-2'
  await client.get(at(path))
  expect(await readFile(log, 'utf8')).toBe('asked\nasked\n')
  api.token = 'none'
  await expect(client.get(at(path))).rejects.toMatchObject({ code: 'SB_KUBERNETES_DENIED' })
})

it('a program that fails, or prints something else, is named', async () => {
  const { api, path, directory } = await withObject()
  for (const command of ['false', 'true', 'not-installed-anywhere']) {
    const exec = { command, installHint: 'install the login tool' }
    const file = await config(directory, api.url, JSON.stringify({ exec }))
    await expect(kindAt(file, path)).rejects.toMatchObject({
      code: 'SB_KUBERNETES_CONFIG',
      hint: 'install the login tool',
    })
  }
})

it('by TLS: the authority of the kubeconfig is needed, and a client certificate is sent', async () => {
  const directory = await temporaryDirectory()
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' })
  const new_ = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1']
  openssl(
    ...new_,
    '-keyout',
    'key.pem',
    '-out',
    'cert.pem',
    '-days',
    '2',
    '-subj',
    '/CN=api',
    ...names,
  )
  const [key, cert] = await Promise.all(
    ['key.pem', 'cert.pem'].map((name) => readFile(join(directory, name), 'utf8')),
  )
  const tls = { key: key!, cert: cert!, ca: cert! }
  const { api, path } = await withObject({ tls })
  api.token = ''
  const user = '{"client-certificate": "cert.pem", "client-key": "key.pem"}'
  const ca = `, "certificate-authority-data": "${Buffer.from(cert!).toString('base64')}"`
  expect(await kindAt(await config(directory, api.url, user, ca), path)).toBe('ConfigMap')
  const unknown = await config(directory, api.url, user)
  await expect(kindAt(unknown, path)).rejects.toThrow(/self-signed certificate/)
  const anonymous = await config(directory, api.url, '{}', ca)
  await expect(kindAt(anonymous, path)).rejects.toMatchObject({ code: 'SB_KUBERNETES_AWAY' })
})

it('in a pod the service account counts, whose token is read again for each request', async () => {
  const { api, path, directory } = await withObject()
  const serviceAccount = join(directory, 'account')
  await mkdir(serviceAccount)
  for (const [name, text] of [
    ['token', 'a-token\n'],
    ['namespace', 'shop'],
    ['ca.crt', 'a certificate'],
  ] as const) {
    await writeFile(join(serviceAccount, name), text)
  }
  const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' }
  const cluster = await findCluster({ env, serviceAccount })
  expect(cluster).toMatchObject({
    server: 'https://10.0.0.1:6443',
    namespace: 'shop',
    ca: 'a certificate',
  })
  const client = new KubernetesApi({ cluster: { ...cluster, server: api.url }, env })
  await client.get(at(path))
  api.token = 'another'
  await writeFile(join(serviceAccount, 'token'), 'another')
  await client.get(at(path))
  // A kubeconfig that is named is meant.
  const file = await config(directory, api.url, '{"token": "another"}')
  const named = await findCluster({ env: { ...env, KUBECONFIG: file }, serviceAccount })
  expect(named.server).toBe(api.url)
})

it('without a kubeconfig and outside a pod it says what to do', async () => {
  const directory = await temporaryDirectory()
  await expect(findCluster({ env: { HOME: directory } })).rejects.toMatchObject({
    code: 'SB_KUBERNETES_CONFIG',
    message: expect.stringContaining(join(directory, '.kube', 'config')),
    hint: expect.stringContaining('kubectl'),
  })
})

it('a server that hangs is given up', async () => {
  const { api, path, directory } = await withObject()
  api.faults.GET.push('hang')
  const cluster = await findCluster({
    env: { KUBECONFIG: await config(directory, api.url, '{"token": "a-token"}') },
  })
  const client = new KubernetesApi({ cluster, env: {}, timeoutMs: 50 })
  await expect(client.get(at(path))).rejects.toMatchObject({
    code: 'SB_KUBERNETES_AWAY',
    message: expect.stringContaining('does not answer within 50 ms'),
  })
})
