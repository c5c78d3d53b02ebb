/**
 * How long decisions are remembered, by OpenFeature domain (`''`: the default one). OpenFeature's
 * providers are global to the process, and so is what suits them.
 */
const byDomain = new Map<string, number>()

/** For a provider whose evaluations are cheap, or of which nothing is known. */
const DEFAULT_REMEMBER_MS = 1000

/** Says what suits the provider that was set for the domain. */
export function suitRememberMs(domain: string | undefined, ms: number): void {
  byDomain.set(domain ?? '', ms)
}

/** In milliseconds. */
export function suitableRememberMs(domain: string | undefined): number {
  return byDomain.get(domain ?? '') ?? DEFAULT_REMEMBER_MS
}
