import { join } from 'node:path'
import { quote } from '../../errors.ts'
import type { FlagsPlace } from '../../rollout/index.ts'
import { type Environment, usageError } from '../framework/command.ts'
import { KubernetesApi } from '../kubernetes/kubernetes-api.ts'
import { findCluster } from '../kubernetes/kubeconfig.ts'
import { configMapKind } from './configmap.ts'
import { featureFlagKind } from './feature-flag.ts'
import { gitPlace } from './git-place.ts'
import { guardLeasePath } from './guard-lease.ts'
import { ObjectPlace } from './object-place.ts'

export interface OpenPlaceOptions {
  /** `configmap/NAME[/KEY]`, `featureflag/NAME` or `git[:FILE]`. */
  readonly target: string
  readonly flag: string
  readonly namespace: string | undefined
  readonly context: string | undefined
  readonly env: Environment
  /** The flags file when `git` names none. */
  readonly findFile: () => Promise<string>
}

/** A name of an object of Kubernetes, and of a key of a ConfigMap. */
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/
const KEY = /^[\w.-]{1,253}$/
const NAMESPACE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * The place that `--target` names.
 *
 * @throws {SwitchbackError} `SB_USAGE`, `SB_KUBERNETES_CONFIG`
 */
export async function openPlace(options: OpenPlaceOptions): Promise<FlagsPlace> {
  const { target, flag, namespace, context, env } = options
  if (target === 'git' || target.startsWith('git:')) {
    if ((namespace ?? context) !== undefined) {
      throw usageError('--namespace and --context are for objects of Kubernetes', 'leave them out')
    }
    const named = target.slice('git:'.length)
    return gitPlace(named === '' ? await options.findFile() : named, env)
  }
  const parts = target.split('/')
  const [kind = '', name = '', key, ...rest] = parts
  const most = { configmap: 3, featureflag: 2 }[kind]
  if (most === undefined || parts.length > most || !NAME.test(name) || rest.length > 0) {
    throw usageError(
      `--target ${quote(target)} is not a place of flags`,
      'write configmap/NAME, configmap/NAME/KEY, featureflag/NAME or git:FILE',
    )
  }
  if (key !== undefined && (!KEY.test(key) || key === '..')) {
    throw usageError(`--target: ${quote(key)} is not a key of a ConfigMap`, 'e.g. use-redis.json')
  }
  if (namespace !== undefined && !NAMESPACE.test(namespace)) {
    throw usageError(`--namespace ${quote(namespace)} is not a namespace`, 'e.g. --namespace shop')
  }
  const cluster = await findCluster({ context, env })
  const of = { namespace: namespace ?? cluster.namespace, name }
  const directory = env['SWITCHBACK_STATE'] || '.'
  return new ObjectPlace({
    kind: kind === 'configmap' ? configMapKind({ ...of, key, flag }) : featureFlagKind(of),
    api: new KubernetesApi({ cluster, env }),
    lease: guardLeasePath({ ...of, flag }),
    beside: join(directory, parts.join('-').replace(/\.(json|ya?ml)$/, '')),
  })
}
