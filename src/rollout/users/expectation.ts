import { quote, SwitchbackError } from '../../errors.ts'
import { compileFlag, definitionHash, probeUsers, readFlagSet } from '../../flagfile/index.ts'
import type { FlagsDocument } from '../file/document.ts'

/** What a process must decide when it decides as a flags file says. */
export interface Expectation {
  readonly probes: number
  /** How many of the probe users go to the new side, for a cache of that name (`''`: without one). */
  on(feature: string): number
  /** Hash of the flag's definition, as processes report it. */
  readonly hash: string
}

/** A rule may depend on the time, so the result is computed again after this long, in ms. */
const FRESH_MS = 1000

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
  const known = new Map<string, { readonly at: number; readonly count: number }>()
  return {
    probes: users.length,
    hash: definitionHash(definition),
    on(feature) {
      const last = known.get(feature)
      if (last !== undefined && performance.now() - last.at < FRESH_MS) return last.count
      const attributes = feature === '' ? {} : { feature }
      const count = users.filter(
        (targetingKey) => evaluate({ targetingKey, ...attributes }).value === true,
      ).length
      known.set(feature, { at: performance.now(), count })
      return count
    },
  }
}
