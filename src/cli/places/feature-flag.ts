import { quote, SwitchbackError } from '../../errors.ts'
import { inline, type JsonValue } from '../../rollout/index.ts'
import type { KubernetesObject } from '../kubernetes/kubernetes-api.ts'
import type { ObjectKind } from './object-place.ts'

interface FeatureFlag extends KubernetesObject {
  readonly spec?: { readonly flagSpec?: unknown; readonly [more: string]: unknown }
}

/**
 * A `FeatureFlag` of the OpenFeature Operator: `spec.flagSpec` is the flags file, as a structure. The
 * server keeps no order of keys and no spaces, so the text is that structure in one fixed form.
 */
export function featureFlagKind(options: {
  readonly namespace: string
  readonly name: string
}): ObjectKind {
  const { namespace, name } = options
  const objectName = `the FeatureFlag ${quote(name)} in the namespace ${quote(namespace)}`
  return {
    path: {
      path: `/apis/core.openfeature.dev/v1beta1/namespaces/${namespace}/featureflags/${name}`,
      name: objectName,
      rights: `get and update on the featureflag.core.openfeature.dev ${quote(name)}`,
      noKind:
        'install the OpenFeature Operator 0.5 or later (FeatureFlag core.openfeature.dev/v1beta1), or use configmap/NAME',
    },
    title: `featureflag/${name}`,
    // A flagd with the source core.openfeature.dev watches the object.
    reachMs: 15_000,
    read(object) {
      const flags = (object as FeatureFlag).spec?.flagSpec
      if (flags === undefined || flags === null) {
        throw new SwitchbackError('SB_FILE_MISSING', `${objectName} has no spec.flagSpec`, {
          hint: 'put the flags under spec.flagSpec.flags',
        })
      }
      requireExact(flags, objectName)
      return canonical(flags)
    },
    write(object, text) {
      const { spec = {} } = object as FeatureFlag
      return { ...object, spec: { ...spec, flagSpec: JSON.parse(text) as unknown } }
    },
    refuse() {},
    stored: (text) => canonical(JSON.parse(text)),
  }
}

/** JSON with sorted keys, as the API server writes it; what fits on a line is on one, as people write it. */
function canonical(value: unknown): string {
  return `${layout(sorted(value) as JsonValue, '')}\n`
}

function layout(value: JsonValue, indent: string): string {
  const line = inline(value)
  const short = line.length + indent.length <= 100 && indent !== ''
  if (short || typeof value !== 'object' || value === null) return line
  const deeper = `${indent}  `
  const list = Array.isArray(value)
  const parts = list
    ? value.map((each: JsonValue) => layout(each, deeper))
    : Object.entries(value).map(
        ([key, each]) => `${JSON.stringify(key)}: ${layout(each as JsonValue, deeper)}`,
      )
  if (parts.length === 0) return line
  const [open, close] = list ? '[]' : '{}'
  return `${open}\n${parts.map((part) => deeper + part).join(',\n')}\n${indent}${close}`
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]))
}

/** A number that JavaScript rounds would be written back changed, in a flag that nobody meant. */
function requireExact(value: unknown, objectName: string): void {
  if (typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER) {
    throw new SwitchbackError(
      'SB_EDIT_UNSAFE',
      `${objectName} has a number that would be rounded: ${value}`,
      { hint: 'nothing was written; write it as a text, or keep that flag in another object' },
    )
  }
  if (typeof value !== 'object' || value === null) return
  for (const each of Object.values(value)) requireExact(each, objectName)
}
