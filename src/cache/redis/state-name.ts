import type { RedisCacheOptions } from './options.ts'
import { DEFAULT_PREFIX, OwnLayout } from './own-layout.ts'
import { PlainNames } from './plain/plain-names.ts'

/** Of the key that is in Redis as soon as a switch with these options has used it, on a server of its own. */
export function stateNameOf({
  values,
  prefix,
}: Pick<RedisCacheOptions, 'values' | 'prefix'>): string {
  if (values === 'plain') return new PlainNames(prefix ?? '', '').state
  return new OwnLayout(prefix ?? DEFAULT_PREFIX).stateName
}
