import { flagKeyIn, memberOf } from './rule-context.ts'
import { isList, isObject } from '../json.ts'
import type { JsonObject, JsonValue } from '../json.ts'
import { murmur3 } from './murmur3.ts'

/** A split, read. */
export interface Distribution {
  readonly entries: readonly { readonly variant: JsonValue; readonly weight: number }[]
  readonly total: number
}

const MOST_WEIGHT = 2_147_483_647

/** `undefined` when the split gives nobody anything: flagd then goes on as if there were no rule. */
export function distributionOf(entries: readonly JsonValue[]): Distribution | undefined {
  let total = 0
  const read: { readonly variant: JsonValue; readonly weight: number }[] = []
  for (const entry of entries) {
    if (!isList(entry)) return undefined
    const [variant, given = 1] = entry
    if (variant === undefined || (typeof variant === 'object' && variant !== null)) return undefined
    const weight = given === null ? 1 : given
    if (typeof weight !== 'number' || !Number.isInteger(weight) || weight > MOST_WEIGHT) {
      return undefined
    }
    // Go reads what does not fit into 64 bits as another number, which then is none that was given.
    if (weight < -(2 ** 63)) return undefined
    read.push({ variant, weight: Math.max(weight, 0) })
    total += Math.max(weight, 0)
  }
  return total === 0 || total > MOST_WEIGHT ? undefined : { entries: read, total }
}

/** What a user with this value of the bucketing attribute gets. */
export function variantFor(bucketBy: string, distribution: Distribution): JsonValue {
  return variantAt(murmur3(bucketBy), distribution)
}

/** @param hash of the value */
export function variantAt(hash: number, { entries, total }: Distribution): JsonValue {
  const bucket = bucketOf(hash, total)
  let end = 0
  for (const { variant, weight } of entries) {
    end += weight
    if (bucket < end) return variant
  }
  return null
}

/** The upper half of the 64 bits of hash times total. */
export function bucketOf(hash: number, total: number): number {
  const high = total * (hash >>> 16)
  const low = total * (hash & 0xffff)
  return Math.floor((high + Math.floor(low / 65_536)) / 65_536)
}

/** What flagd buckets by when the rule names nothing: `undefined` when there is no such user. */
export function standardBucketing(data: JsonValue): string | undefined {
  if (!isObject(data)) return undefined
  const user = userIn(data)
  return user === undefined ? undefined : flagKeyIn(data) + user
}

/** The hash of {@link standardBucketing}. A preview asks for that of each user twice in a row. */
export function standardHash(data: JsonValue): number | undefined {
  if (!isObject(data)) return undefined
  const user = userIn(data)
  if (user === undefined) return undefined
  const flag = flagKeyIn(data)
  if (user !== last.user || flag !== last.flag) last = { user, flag, hash: murmur3(flag + user) }
  return last.hash
}

let last = { user: '', flag: '', hash: 0 }

function userIn(data: JsonObject): string | undefined {
  const user = memberOf(data, 'targetingKey')
  return typeof user === 'string' && user !== '' ? user : undefined
}

/** `{"fractional": ...}`, its operand evaluated already. */
export function fractional(values: JsonValue, data: JsonValue): JsonValue {
  if (!isList(values) || !isObject(data)) return null
  const [first, ...rest] = values
  if (first === undefined) return null
  const named = typeof first === 'string'
  const bucketBy = named ? first : standardBucketing(data)
  if (bucketBy === undefined) return null
  const distribution = distributionOf(named || first === null ? rest : values)
  return distribution === undefined ? null : variantFor(bucketBy, distribution)
}
