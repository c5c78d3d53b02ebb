/** `npm run test:full`: every check with all its cases and runs, for which `npm test` has no time. */
export const FULL: boolean = process.env['SWITCHBACK_FULL'] === '1'

/** How often something is tried, or what: in `npm test`, and in `npm run test:full`. */
export function inFull<T>(usual: T, full: T): T {
  return FULL ? full : usual
}
