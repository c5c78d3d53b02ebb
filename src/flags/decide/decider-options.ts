import { checkNames, type NamesOf, requireOption } from '../../options.ts'
import type { ClientChoice } from '../openfeature-client.ts'
import type { OnFlagsEvent } from '../flags-event.ts'
import type { LiveSplitOptions } from './live-split.ts'

export interface DeciderOptions extends ClientChoice {
  /** Key of a boolean flag: true is `on`, false is `off`. A flag of another type decides nothing. */
  readonly flag: string
  /** The cache's name, which targeting rules see as the attribute `feature`. @default no attribute */
  readonly feature?: string
  /** Milliseconds that an operation waits for an evaluation. @default 50 */
  readonly deadlineMs?: number
  /**
   * Milliseconds that a decision is given again without asking, while the provider announces no change
   * of the configuration. From half of it on it is refreshed in the background.
   * @default what suits the provider that `flagsFromEnvironment` set: 10,000 over rpc, else 1,000
   */
  readonly rememberMs?: number
  /** Most decisions remembered; the ones longest not used are forgotten. @default 100_000 */
  readonly maxRemembered?: number
  /**
   * How often the probe users are evaluated, whose share is reported in `health()` and in the
   * metrics; `false`: never.
   * @default see LiveSplitOptions
   */
  readonly liveSplit?: LiveSplitOptions | false
  /** Called on changes of state, for the log. @default warnings go to console.warn */
  readonly onEvent?: OnFlagsEvent
}

/** {@link DeciderOptions} with their defaults. */
export interface CompleteDeciderOptions extends DeciderOptions {
  readonly deadlineMs: number
  readonly maxRemembered: number
}

const OPTIONS: NamesOf<DeciderOptions> = {
  flag: true,
  feature: true,
  client: true,
  domain: true,
  deadlineMs: true,
  rememberMs: true,
  maxRemembered: true,
  liveSplit: true,
  onEvent: true,
}

/** @throws {SwitchbackError} `SB_OPTION_INVALID` for an option that cannot work */
export function completeOptions(options: DeciderOptions): CompleteDeciderOptions {
  const call = 'createDecider'
  checkNames(call, options, OPTIONS)
  const { flag, deadlineMs = 50, maxRemembered = 100_000, rememberMs = 0, liveSplit } = options
  const named = typeof flag === 'string' && flag !== ''
  requireOption(named, call, 'flag', flag, 'give the key of a boolean flag')
  const fast = deadlineMs > 0 && deadlineMs <= 60_000
  requireOption(
    fast,
    call,
    'deadlineMs',
    deadlineMs,
    'give milliseconds, at most 60,000; it is 50 without',
  )
  const short = rememberMs >= 0 && rememberMs <= 86_400_000
  requireOption(
    short,
    call,
    'rememberMs',
    rememberMs,
    'give milliseconds, at most a day; 0 asks each time',
  )
  const some = Number.isInteger(maxRemembered) && maxRemembered > 0
  requireOption(
    some,
    call,
    'maxRemembered',
    maxRemembered,
    'give a whole number from 1; it is 100,000 without',
  )
  if (liveSplit !== undefined && liveSplit !== false) {
    const { everyMs = 0 }: LiveSplitOptions = Object(liveSplit)
    const object = typeof liveSplit === 'object' && liveSplit !== null
    requireOption(object, call, 'liveSplit', liveSplit, 'give false, or { everyMs }')
    const suits =
      typeof everyMs === 'number' && (everyMs === 0 || (everyMs >= 100 && everyMs <= 86_400_000))
    requireOption(
      suits,
      call,
      'liveSplit.everyMs',
      everyMs,
      'give 0, or milliseconds from 100 to a day',
    )
  }
  return { ...options, deadlineMs, maxRemembered }
}
