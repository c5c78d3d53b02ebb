import { murmur3After } from './rules/murmur3.ts'

/** One for each hundredth of the range of the hash. */
const PROBES = 100
/**
 * How far from the middle of its hundredth a probe may lie, as a share of it: a split at a whole per
 * cent, or beside one, divides no hundredth near its probe.
 */
const OFF_MIDDLE = 0.1
/** More flags than this, and their probes are looked for again. */
const MAX_CACHED = 256

const cached = new Map<string, readonly string[]>()

/**
 * The fixed probe users of a flag: 100 targeting keys, the n-th of which flagd's hash of flag key and
 * targeting key puts into the middle of the n-th hundredth. How many of them a plain `fractional` puts
 * on is therefore its share, exact to one per cent. The same in every process and version.
 */
export function probeUsers(flagKey: string): readonly string[] {
  const known = cached.get(flagKey)
  if (known !== undefined) return known
  const found = search(flagKey)
  if (cached.size >= MAX_CACHED) cached.clear()
  cached.set(flagKey, found)
  return found
}

/** Whether a targeting key is a probe's and not a user's. */
export function isProbeUser(targetingKey: string): boolean {
  return targetingKey.startsWith(PREFIX)
}

const PREFIX = 'switchback-probe-'

function search(flagKey: string): readonly string[] {
  const found = Array.from({ length: PROBES }, () => '')
  // Some 2,600 names are tried, by a command that has just started and hurries.
  const hash = murmur3After(flagKey + PREFIX)
  let missing = PROBES
  for (let index = 0; missing > 0; index++) {
    const position = (hash(String(index)) / 0x1_0000_0000) * PROBES
    const hundredth = Math.floor(position)
    if (found[hundredth] !== '' || Math.abs(position - hundredth - 0.5) > OFF_MIDDLE) continue
    found[hundredth] = `${PREFIX}${index}`
    missing--
  }
  return Object.freeze(found)
}
