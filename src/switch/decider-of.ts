import { SwitchbackError, quote } from '../errors.ts'
import { createDecider, type Decider, type FlagDecider } from '../flags/index.ts'
import type { CacheSwitchOptions } from './options.ts'

/**
 * The decider that was passed in, or one for the flag.
 *
 * @param feature the cache's name
 * @throws {SwitchbackError} `SB_OPTION_INVALID` when it is not clear which flag decides
 */
export function deciderOf(options: CacheSwitchOptions, feature: string): Decider {
  const { decider, flag, flags } = options
  if (decider === undefined) {
    const named = typeof flag === 'string' && flag !== ''
    if (!named) throw invalid(`flag cannot be ${quote(flag)}`, 'give the key of a boolean flag')
    if (flags === undefined) return createDecider({ flag, feature })
    if (typeof flags?.createDecider === 'function') return flags.createDecider({ flag, feature })
    throw invalid(`flags cannot be ${quote(flags)}`, 'pass what flagsFromEnvironment resolves to')
  }
  if (typeof decider?.decide !== 'function') {
    throw invalid(`decider cannot be ${quote(decider)}`, 'pass what createDecider returns')
  }
  if (flags !== undefined) {
    throw invalid('flags says nothing beside a decider', 'pass either of the two')
  }
  const own = (decider as Partial<FlagDecider>).flag
  if (flag !== undefined && own !== undefined && flag !== own) {
    const both = `flag ${quote(flag)} and a decider of the flag ${quote(own)}`
    throw invalid(`${both} contradict each other`, 'leave flag out: the decider knows its own')
  }
  return decider
}

function invalid(problem: string, hint: string): SwitchbackError {
  return new SwitchbackError('SB_OPTION_INVALID', `createCacheSwitch: ${problem}`, { hint })
}
