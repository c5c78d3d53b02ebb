import type { CacheBackend } from '../cache/index.ts'
import { quote, SwitchbackError } from '../errors.ts'

/** The caches of this process that are open, by the place of a side. */
const open = new Map<string, Set<{ readonly name: string }>>()

/**
 * Two caches with the same cells would serve each other's values. Under one name they are one cache, as they are
 * in two processes; under two names somebody forgot a prefix.
 *
 * @throws SwitchbackError `SB_OPTION_INVALID`
 */
export function checkPlaces(name: string, backends: readonly CacheBackend[]): void {
  for (const { place = '', name: store } of backends) {
    const other = [...(open.get(place) ?? [])].find((cache) => cache.name !== name)
    if (place === '' || other === undefined) continue
    throw new SwitchbackError(
      'SB_OPTION_INVALID',
      `createCacheSwitch: the cache ${quote(name)} and the open cache ${quote(other.name)} share one store (${store}, the same database and prefix): each would serve what the other one stored`,
      {
        hint: `give each a prefix of its own, e.g. redisCache({ url, prefix: ${quote(`${name}:`)} }), or both the same name if they are one cache`,
      },
    )
  }
}

/** Notes that a cache is open, until the function returned is called. */
export function notePlaces(name: string, backends: readonly CacheBackend[]): () => void {
  const cache = { name }
  const places = backends.map(({ place = '' }) => place)
  for (const place of places) {
    if (place !== '') open.set(place, (open.get(place) ?? new Set()).add(cache))
  }
  return () => {
    for (const place of places) {
      open.get(place)?.delete(cache)
      if (open.get(place)?.size === 0) open.delete(place)
    }
  }
}
