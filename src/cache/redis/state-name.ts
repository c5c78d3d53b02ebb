import type { RedisCacheOptions } from './options.ts'
import { DEFAULT_PREFIX, OwnLayout } from './own-layout.ts'
import { PlainNames } from './plain/plain-names.ts'

type Names = Pick<RedisCacheOptions, 'values' | 'prefix'>

/** With its default: the values of an application may be under any key. */
export function prefixOf({
  values,
  prefix = values === 'plain' ? '' : DEFAULT_PREFIX,
}: Names): string {
  return prefix
}

/** Of the key that is in Redis as soon as a switch with these options has used it, on a server of its own. */
export function stateNameOf(names: Names): string {
  const prefix = prefixOf(names)
  return names.values === 'plain'
    ? new PlainNames(prefix, '').state
    : new OwnLayout(prefix).stateName
}
