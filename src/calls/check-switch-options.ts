import { checkNames, type NamesOf } from '../options.ts'
import { checkBreaker } from '../switch/index.ts'
import { requireMs, requireThat } from './call/method-plan.ts'
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
export function checkSwitchOptions<T extends object>(options: SwitchOptions<T>): void {
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
  checkBreaker('createSwitch', options.breaker ?? {}, (holds, option, value, right) =>
    requireThat(holds, `breaker.${option}`, value, right),
  )
  for (const method of Object.keys(methods ?? {})) {
    for (const side of ['off', 'on'] as const) {
      const own: unknown = Reflect.get(options[side], method)
      requireThat(typeof own === 'function', `methods.${method}`, own, `a method that ${side} has`)
    }
  }
}
