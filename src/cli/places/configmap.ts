import { quote, SwitchbackError } from '../../errors.ts'
import type { KubernetesObject } from '../kubernetes/kubernetes-api.ts'
import type { ObjectKind } from './object-place.ts'

export interface ConfigMapOptions {
  readonly namespace: string
  readonly name: string
  /** @default `<flag>.json`, or the only key */
  readonly key: string | undefined
  readonly flag: string
}

interface ConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>
  readonly binaryData?: Readonly<Record<string, string>>
  readonly immutable?: boolean
}

/** A ConfigMap holds the flags file as it is, in one of its keys; the kubelet brings it to the pods. */
export function configMapKind(options: ConfigMapOptions): ObjectKind {
  const { namespace, name, flag } = options
  const objectName = `the ConfigMap ${quote(name)} in the namespace ${quote(namespace)}`
  const keyOf = (object: KubernetesObject): string => {
    if (options.key !== undefined) return options.key
    const keys = Object.keys((object as ConfigMap).data ?? {})
    const [only = `${flag}.json`] = keys
    return keys.length > 1 || keys.length === 0 ? `${flag}.json` : only
  }
  return {
    path: {
      path: `/api/v1/namespaces/${namespace}/configmaps/${name}`,
      name: objectName,
      rights: `get and update on the configmap ${quote(name)}`,
      noKind: 'check the server of the kubeconfig: it does not answer as a Kubernetes API does',
    },
    title: `configmap/${name}${options.key === undefined ? '' : `/${options.key}`}`,
    // The kubelet looks once a minute, from a cache that may be older.
    reachMs: 120_000,
    read(object) {
      const { data = {}, binaryData = {} } = object as ConfigMap
      const key = keyOf(object)
      if (Object.hasOwn(data, key)) return data[key]
      const keys = Object.keys(data).slice(0, 8).map(quote).join(', ') || 'none'
      if (Object.hasOwn(binaryData, key)) {
        throw new SwitchbackError(
          'SB_FLAGS_SYNTAX',
          `${objectName} holds ${quote(key)} as binary data, not as text`,
          { hint: 'create it again from a file in UTF-8 (kubectl create configmap --from-file)' },
        )
      }
      throw new SwitchbackError('SB_FILE_MISSING', `${objectName} has no key ${quote(key)}`, {
        hint: `name one with --target configmap/${name}/KEY; its keys: ${keys}`,
      })
    },
    write(object, text) {
      const { data = {} } = object as ConfigMap
      return { ...object, data: { ...data, [keyOf(object)]: text } }
    },
    refuse(object) {
      if ((object as ConfigMap).immutable !== true) return
      throw new SwitchbackError('SB_FILE_READ_ONLY', `${objectName} is immutable`, {
        hint: 'create it again without "immutable", under the same name',
      })
    },
    stored: (text) => text,
  }
}
