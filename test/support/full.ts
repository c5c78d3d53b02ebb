/** `npm run test:full`: every check with all its cases and runs, for which `npm test` has no time. */
export const FULL: boolean = process.env['SWITCHBACK_FULL'] === '1'

/** How often something is tried, or what: in `npm test`, and in `npm run test:full`. */
export function inFull<T>(usual: T, full: T): T {
  return FULL ? full : usual
}

/**
 * Of cases that stand on nothing but their own file, so that no change of `src` can make them red: every so many in
 * `npm test`, and all in `npm run test:full`.
 */
export function everyFew<T>(cases: readonly T[], few: number): readonly T[] {
  return cases.filter((_, index) => FULL || index % few === 0)
}
