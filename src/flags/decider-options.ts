import { SwitchbackError, quote } from '../errors.ts'
import type { ClientChoice } from './client.ts'
import type { OnFlagsEvent } from './events.ts'
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

/** @throws {SwitchbackError} `SB_OPTION_INVALID` for an option that cannot work */
export function completeOptions(options: DeciderOptions): CompleteDeciderOptions {
  const { flag, deadlineMs = 50, maxRemembered = 100_000, rememberMs = 0, liveSplit } = options
  requireThat(typeof flag === 'string' && flag !== '', 'flag', flag)
  requireThat(deadlineMs > 0 && deadlineMs <= 60_000, 'deadlineMs', deadlineMs)
  requireThat(rememberMs >= 0 && rememberMs <= 86_400_000, 'rememberMs', rememberMs)
  requireThat(Number.isInteger(maxRemembered) && maxRemembered > 0, 'maxRemembered', maxRemembered)
  if (liveSplit !== undefined && liveSplit !== false) {
    const { everyMs = 0 }: LiveSplitOptions = Object(liveSplit)
    requireThat(typeof liveSplit === 'object' && liveSplit !== null, 'liveSplit', liveSplit)
    const suits = everyMs === 0 || (everyMs >= 100 && everyMs <= 86_400_000)
    requireThat(typeof everyMs === 'number' && suits, 'liveSplit.everyMs', everyMs)
  }
  return { ...options, deadlineMs, maxRemembered }
}

function requireThat(holds: boolean, option: string, value: unknown): void {
  if (holds) return
  throw new SwitchbackError(
    'SB_OPTION_INVALID',
    `createDecider: ${option} cannot be ${quote(value)}`,
    { hint: 'see DeciderOptions for what it means and its default' },
  )
}
