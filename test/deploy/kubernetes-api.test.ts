import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { guardLeasePath } from '../../src/cli/places/guard-lease.ts'
import { parsePlan } from '../../src/guard/index.ts'
import {
  type Deployment,
  type Kustomization,
  type Manifest,
  manifest,
  type NetworkPolicy,
  read as readBase,
} from './manifests.ts'
import { expectStrict, isKustomization } from './strict-manifest.ts'

const HERE = new URL('../../deploy/kubernetes-api/', import.meta.url)

const read = (path: string): string => readFileSync(new URL(path, HERE), 'utf8')
const own = ['rbac.yaml', 'guard.yaml', 'network-policy.yaml'].flatMap((file) =>
  parseAllDocuments(read(file), { uniqueKeys: true }).map((one) => one.toJS() as Manifest),
)
const kustomization = parse(read('kustomization.yaml')) as Kustomization
const flags = parse(readBase('flags/kustomization.yaml')) as Kustomization

function ownOf<T extends object>(kind: string, name: string): T {
  return own.find((one) => one.kind === kind && one.metadata.name === name) as unknown as T
}

const guard = ownOf<Manifest<Deployment>>('Deployment', 'switchback-guard').spec
const pod = guard.template.spec

describe('deploy/kubernetes-api', () => {
  it.each(own.map((one) => [one.kind, one.metadata.name, one] as const))(
    'follows the API, strictly: %s %s',
    (_, __, one) => expectStrict(one),
  )

  it('is a kustomization of all of them', () => {
    isKustomization(kustomization)
    expect(isKustomization.errors).toBeNull()
    expect(kustomization.resources).toEqual(['rbac.yaml', 'guard.yaml', 'network-policy.yaml'])
    expect(kustomization.namespace).toBe(flags.namespace)
    expect(parsePlan(read('plan.yaml')).steps.at(-1)).toBe(100)
  })

  it('grants to read and replace the one object of the flags, to the account of the one pod', () => {
    const [generated] = flags.configMapGenerator ?? []
    type Rule = Readonly<Record<'resources' | 'resourceNames' | 'verbs', readonly string[]>>
    const { rules } = ownOf<{ rules: Rule[] }>('Role', 'switchback-rollout')
    expect(
      rules.map(({ resources, resourceNames, verbs }) => [resources, resourceNames, verbs]),
    ).toEqual([
      [['configmaps'], [generated?.name], ['get', 'update']],
      [['featureflags'], [generated?.name], ['get', 'update']],
      [['leases'], [`${generated?.name}-use-redis`], ['get', 'update']],
    ])
    const of = { namespace: 'switchback', name: generated!.name, flag: 'use-redis' }
    expect(guardLeasePath(of).path).toMatch(/leases\/switchback-flags-use-redis$/)
    expect(ownOf('Lease', 'switchback-flags-use-redis')).not.toHaveProperty('spec')
    const { roleRef, subjects } = ownOf<{ roleRef: object; subjects: object[] }>(
      'RoleBinding',
      'switchback-rollout',
    )
    expect(roleRef).toMatchObject({ kind: 'Role', name: 'switchback-rollout' })
    expect(subjects).toEqual([{ kind: 'ServiceAccount', name: pod.serviceAccountName }])
    expect(ownOf('ServiceAccount', pod.serviceAccountName)).toMatchObject({
      automountServiceAccountToken: false,
    })
    // No other pod has a token that it could lose.
    expect(manifest<Deployment>('Deployment').spec.template.spec.serviceAccountName).not.toBe(
      pod.serviceAccountName,
    )
    const args = pod.containers[0]!.args!
    const target = args[args.indexOf('--target') + 1]
    expect(target).toBe(`configmap/${generated?.name}/${generated?.files[0]}`)
  })

  it('the guard reads the metrics of the app’s pods, and reaches the API', () => {
    const app = manifest<Deployment>('Deployment').spec.selector.matchLabels
    const policy = ownOf<Manifest<NetworkPolicy>>('NetworkPolicy', 'switchback-guard').spec
    expect(policy.podSelector.matchLabels).toEqual(guard.selector.matchLabels)
    const out = policy.egress.flatMap(({ ports }) => ports.map(({ port }) => port))
    expect(out).toEqual(expect.arrayContaining(['metrics', 443, 6443]))
    const theirs = ownOf<Manifest<NetworkPolicy>>('NetworkPolicy', 'switchback-with-guard').spec
    expect(theirs.podSelector.matchLabels).toEqual(app)
    expect(theirs.ingress).toEqual([
      {
        from: [{ podSelector: { matchLabels: guard.selector.matchLabels } }],
        ports: [{ protocol: 'TCP', port: 'metrics' }],
      },
    ])
  })
})
