import { quote, SwitchbackError } from '../../errors.ts'
import { compileFlag, definitionHash, probeUsers, readFlagSet } from '../../flagfile/index.ts'
import type { FlagEvaluation } from '../../flagfile/index.ts'
import type { FlagsDocument } from '../file/document.ts'

/** What a process must decide when it decides as a flags file says. */
export interface Expectation {
  readonly probes: number
  /** How many of the probe users go to the new side, for a cache of that name (`''`: without one). */
  on(feature: string): number
  /**
   * The error that a probe user gets, e.g. `PARSE_ERROR`; `''` without one. A process then keeps the
   * side it knew last of each user.
   */
  fails(feature: string): string
  /** Hash of the flag's definition, as processes report it. */
  readonly hash: string
}

/** A rule may depend on the time, so the result is computed again after this long, in ms. */
const FRESH_MS = 1000

interface Decided {
  readonly count: number
  readonly fails: string
}

/** A process asks for a boolean. */
function errorOf({ errorCode, value }: FlagEvaluation): string {
  if (errorCode !== '') return errorCode
  return value === undefined || typeof value === 'boolean' ? '' : 'TYPE_MISMATCH'
}

/**
 * Evaluates the fixed probe users by a flags file, as processes do: with the attribute `feature` of the
 * cache and no other.
 *
 * @throws {SwitchbackError} `SB_FLAG_UNKNOWN`; `SB_FLAGS_INVALID` for a file that flagd refuses
 */
export function expectationOf(document: FlagsDocument, flag: string): Expectation {
  const definition = readFlagSet(document.text, 'the flags file').flags.get(flag)
  if (definition === undefined) {
    throw new SwitchbackError('SB_FLAG_UNKNOWN', `the file has no flag ${quote(flag)}`, {
      hint: 'name a flag that the file has with --flag',
    })
  }
  const evaluate = compileFlag(definition)
  const users = probeUsers(flag)
  const known = new Map<string, Decided & { readonly at: number }>()
  const decide = (feature: string): Decided => {
    const last = known.get(feature)
    if (last !== undefined && performance.now() - last.at < FRESH_MS) return last
    const attributes = feature === '' ? {} : { feature }
    const all = users.map((targetingKey) => evaluate({ targetingKey, ...attributes }))
    const count = all.filter(({ value }) => value === true).length
    const now = { at: performance.now(), count, fails: all.map(errorOf).find(Boolean) ?? '' }
    known.set(feature, now)
    return now
  }
  return {
    probes: users.length,
    hash: definitionHash(definition),
    on: (feature) => decide(feature).count,
    fails: (feature) => decide(feature).fails,
  }
}
