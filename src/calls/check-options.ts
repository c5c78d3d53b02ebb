import { checkNames, type NamesOf } from '../options.ts'
import type { BreakerOptions } from '../switch/index.ts'
import { requireMs, requireThat } from './call/plan.ts'
import { CALL_STAGES, type SwitchBase, type SwitchOptions } from './options.ts'

const OPTIONS: NamesOf<SwitchBase<object> & { readonly methods: unknown }> = {
  flag: true,
  flags: true,
  decider: true,
  off: true,
  on: true,
  name: true,
  names: true,
  methods: true,
  deadlineMs: true,
  standby: true,
  isFailure: true,
  breaker: true,
  probe: true,
  maxBackground: true,
  telemetry: true,
  onEvent: true,
  onCall: true,
}

/** @throws {SwitchbackError} `SB_OPTION_INVALID` for an option that cannot work */
export function checkOptions<T extends object>(options: SwitchOptions<T>): void {
  checkNames('createSwitch', options, OPTIONS)
  for (const side of ['off', 'on'] as const) {
    const service: unknown = options[side]
    const isService = typeof service === 'object' && service !== null
    requireThat(isService, side, service, 'an object with the methods of the service')
  }
  const { off, on, deadlineMs = 1, standby = 'alone', maxBackground = 0, methods } = options
  requireThat(options.name !== '', 'name', options.name, 'a text')
  requireThat((off as object) !== on, 'on', 'the same object as off', 'another implementation')
  requireMs('deadlineMs', deadlineMs)
  requireThat(maxBackground >= 0, 'maxBackground', maxBackground, 'a number from 0 on')
  const isStage = typeof standby === 'string' && CALL_STAGES.includes(standby)
  const isFlag = typeof standby === 'object' && typeof standby.flag === 'string'
  requireThat(isStage || isFlag, 'standby', standby, `${CALL_STAGES.join(', ')} or { flag }`)
  checkBreaker(options.breaker ?? {})
  for (const method of Object.keys(methods ?? {})) {
    for (const side of ['off', 'on'] as const) {
      const own: unknown = Reflect.get(options[side], method)
      requireThat(typeof own === 'function', `methods.${method}`, own, `a method that ${side} has`)
    }
  }
}

const BREAKER: NamesOf<BreakerOptions> = { window: true, failures: true, probeIntervalMs: true }

function checkBreaker(options: BreakerOptions): void {
  checkNames('createSwitch: breaker', options, BREAKER)
  const { window = 10, failures = 5, probeIntervalMs = 250 } = options
  const isWhole = (value: number, most: number): boolean =>
    Number.isInteger(value) && value >= 1 && value <= most
  requireThat(isWhole(window, 31), 'breaker.window', window, 'a whole number from 1 to 31')
  const most = `a whole number from 1 to window, which is ${window}`
  requireThat(isWhole(failures, window), 'breaker.failures', failures, most)
  requireMs('breaker.probeIntervalMs', probeIntervalMs)
}
