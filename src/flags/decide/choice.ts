import { SwitchbackError, quote } from '../../errors.ts'
import { createDecider } from './decider.ts'
import type { Decider, FlagDecider } from './decision.ts'
import type { OnFlagsEvent } from '../flags-event.ts'
import type { FlagsSource } from '../source/flags-source.ts'

/**
 * Which decider the cache uses: a flag and its source, or a ready decider, which already has a
 * flag.
 */
export type FlagChoice =
  | { readonly flag: string; readonly decider?: undefined }
  | { readonly flag?: undefined; readonly flags?: undefined; readonly decider: Decider }
  // A hand-written decider has no flag of its own; the name is for the metrics.
  | { readonly flag: string; readonly decider: Decider & { readonly flag?: undefined } }

/** A {@link FlagChoice} as it is given, right or wrong. */
export interface GivenChoice {
  readonly flag?: string
  readonly flags?: FlagsSource
  readonly decider?: Decider
}

/**
 * The decider that was passed in, or one for the flag.
 *
 * @param feature the cache's name
 * @param onEvent for a decider that is made here; one of a source reports where the source does
 * @param called the function that the application called, for messages
 * @throws {SwitchbackError} `SB_OPTION_INVALID` when it is not clear which flag decides
 */
export function deciderOf(
  options: GivenChoice,
  feature: string,
  onEvent?: OnFlagsEvent,
  called = 'createCacheSwitch',
): Decider {
  const invalid = (problem: string, hint: string): SwitchbackError =>
    new SwitchbackError('SB_OPTION_INVALID', `${called}: ${problem}`, { hint })
  const { decider, flag, flags } = options
  if (decider === undefined) {
    const named = typeof flag === 'string' && flag !== ''
    if (!named) throw invalid(`flag cannot be ${quote(flag)}`, 'give the key of a boolean flag')
    if (flags === undefined) {
      return createDecider({ flag, feature, ...(onEvent === undefined ? {} : { onEvent }) })
    }
    if (typeof flags?.createDecider === 'function') return flags.createDecider({ flag, feature })
    throw invalid(`flags cannot be ${quote(flags)}`, 'pass what flagsFromEnvironment resolves to')
  }
  if (typeof decider?.decide !== 'function') {
    throw invalid(`decider cannot be ${quote(decider)}`, 'pass what createDecider returns')
  }
  if (flags !== undefined) {
    throw invalid('flags has no effect when decider is given', 'pass one of the two')
  }
  const own = (decider as Partial<FlagDecider>).flag
  if (flag !== undefined && own !== undefined && flag !== own) {
    const both = `flag ${quote(flag)} and a decider of the flag ${quote(own)}`
    throw invalid(`${both} contradict each other`, 'leave flag out: the decider has its own')
  }
  return decider
}
