import { checkNames, type NamesOf } from '../../options.ts'
import type { BreakerOptions } from './breaker.ts'
import { LONGEST_TIMER_MS } from './deadlines.ts'

const OPTIONS: NamesOf<BreakerOptions> = { window: true, failures: true, probeIntervalMs: true }

/**
 * @param call what has the option `breaker`
 * @param require throws unless it holds; `right` is what the option takes
 */
export function checkBreaker(
  call: string,
  options: BreakerOptions,
  require: (holds: boolean, option: string, value: unknown, right: string) => void,
): void {
  checkNames(`${call}: breaker`, options, OPTIONS)
  const { window = 10, failures = 5, probeIntervalMs = 250 } = options
  const isWhole = (value: number, most: number): boolean =>
    Number.isInteger(value) && value >= 1 && value <= most
  require(isWhole(window, 31), 'window', window, 'a whole number from 1 to 31')
  const right = `a whole number from 1 to window, which is ${window}`
  require(isWhole(failures, window), 'failures', failures, right)
  const isNumber = typeof probeIntervalMs === 'number'
  const fits = isNumber && probeIntervalMs >= 1 && probeIntervalMs <= LONGEST_TIMER_MS
  const times = `milliseconds from 1 on, at most ${LONGEST_TIMER_MS}`
  require(fits, 'probeIntervalMs', probeIntervalMs, times)
}
