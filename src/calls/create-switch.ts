import { AsyncLocalStorage } from 'node:async_hooks'
import {
  deciderOf,
  type DecisionContext,
  type FlagDecider,
  type FlagHealth,
  registerFlagGauges,
} from '../flags/index.ts'
import { safeListener } from '../listeners.ts'
import type { Side } from '../side.ts'
import { eventOf, logEvent, type Notify, standbySource, UnderWay } from '../switch/index.ts'
import {
  type CallRecorder,
  noTelemetry,
  type Recorder,
  FLAGS_UP,
  registerSideGauges,
} from '../telemetry/index.ts'
import { Calls, type Pinned } from './calls.ts'
import { CallSide } from './call/call-side.ts'
import { checkSwitchOptions } from './check-switch-options.ts'
import { CALL_STAGES, type SwitchOptions } from './options.ts'
import { requireFreeName, takeName } from './names.ts'
import { type GivenMethod, type MethodPlan, planOf, requireThat } from './call/method-plan.ts'
import { Shadow } from './shadow/shadow.ts'
import { switched } from './switched.ts'

export interface CallSideHealth {
  readonly ok: boolean
  readonly name: string
  /** Epoch milliseconds since when the side is out; 0 while it is in. */
  readonly outSince: number
  /** The last failure, in one line; `''` when ok. */
  readonly detail: string
}

export interface CallsHealth {
  /** True when nothing is degraded. */
  readonly ok: boolean
  readonly off: CallSideHealth
  readonly on: CallSideHealth
  readonly flags: FlagHealth
}

/** What a switch has besides the methods of the service. */
export interface SwitchControls<T> {
  /** The same service for an explicit evaluation context, instead of OpenFeature's transaction context. */
  for(context: DecisionContext | undefined): T
  /**
   * Decides once, and keeps every call in `work` on that side, however deep and however many `await`s
   * later. Calls through `for` decide by themselves.
   */
  within<R>(context: DecisionContext | undefined, work: () => R): Promise<Awaited<R>>
  health(): CallsHealth
  /** Waits for the calls under way, not for streams that are read; later ones reject with `SB_CLOSED`. The services stay open. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** The service, and the controls except where the service has a member of that name. */
export type Switched<T> = T & Omit<SwitchControls<T>, keyof T>

const CONTROLS = new WeakMap<object, SwitchControls<never>>()

/**
 * The controls of a switch whose service has members of the same names, such as a `close` of its own.
 * @throws {SwitchbackError} `SB_OPTION_INVALID` for what no `createSwitch` made
 */
export function controlsOf<T extends object>(service: Switched<T>): SwitchControls<T> {
  const controls = CONTROLS.get(service)
  requireThat(controls !== undefined, 'controlsOf', service, 'what createSwitch returned')
  return controls as SwitchControls<T>
}

/**
 * Two implementations of one interface, behind a flag: each call goes to the side that the flag picked
 * for its user. Nothing is promised of the data behind them: see docs/any-implementation.md.
 *
 * @throws {SwitchbackError} `SB_OPTION_INVALID` for an option that cannot work
 * @example
 * const search = createSwitch<SearchService>({
 *   flag: 'use-opensearch',
 *   off: elasticsearch,
 *   on: opensearch,
 *   methods: { find: { kind: 'read', deadlineMs: 300, fallback: true, compare: { share: 0.01 } } },
 * })
 * await search.find(query)
 */
export function createSwitch<T extends object>(options: SwitchOptions<T>): Switched<T> {
  checkSwitchOptions(options)
  const { off, on, flag, flags, deadlineMs = 1000, isFailure = () => true } = options
  const recorder = options.telemetry ?? noTelemetry
  const name = options.name ?? flag ?? 'switch'
  requireFreeName(recorder, name)
  const labels = { off: options.names?.off ?? 'old', on: options.names?.on ?? 'new' }
  const listener = safeListener('onEvent', options.onEvent ?? logEvent)
  let closing = false
  const notify: Notify = (notice) => {
    // What was done on one side only matters at an orderly stop as well.
    if (!closing || notice.type === 'write-left') listener(eventOf(notice))
  }
  const decider = deciderOf(
    options,
    name,
    ({ level, message }) => notify({ type: 'flags', level, detail: message }),
    'createSwitch',
  )
  const stage = standbySource(options.standby ?? 'compare', CALL_STAGES, notify, flags?.domain)
  const sideOf = (side: Side): CallSide =>
    new CallSide({
      side,
      service: options[side],
      name: labels[side],
      breaker: options.breaker ?? {},
      deadlineMs,
      probe: options.probe && (async () => options.probe?.(options[side], side)),
      isFailure,
      notify,
    })
  const sides = { off: sideOf('off'), on: sideOf('on') }
  const shadow = new Shadow({ limit: options.maxBackground ?? 64, notify })
  const around = new AsyncLocalStorage<Pinned>()
  const underWay = new UnderWay()
  const calls = new Calls({
    sides,
    decider,
    stage: () => stage.current,
    shadow,
    recorder,
    notify,
    underWay,
    around: () => around.getStore(),
    onCall: options.onCall && safeListener('onCall', options.onCall),
  })
  const given: Readonly<Record<string, GivenMethod>> = options.methods ?? {}
  const planFor = (method: string): MethodPlan => {
    const own = Object.hasOwn(given, method) ? given[method] : undefined
    const counts = (): CallRecorder | undefined => recorder.calls?.(name, method)
    return planOf(method, own ?? {}, { deadlineMs, labels, recorder: counts })
  }
  const forCaller = switched<T>([off, on], Object.keys(given), planFor, calls)

  const sideHealth = (side: Side): CallSideHealth => {
    const { name: called, outSince, lastFailure, usable } = sides[side]
    return { ok: usable, name: called, outSince, detail: usable ? '' : lastFailure }
  }
  const removeGauges = [
    takeName(recorder, name),
    registerSideGauges(recorder, { switch: name }, labels, (side) => sides[side].outSince),
    registerFlagGauges({ recorder, decider, flag }),
    tellFlag(recorder, name, decider, flag, () => decider.health().ok),
  ]
  const shut = async (): Promise<void> => {
    closing = true
    await underWay.close()
    await shadow.drain()
    for (const remove of removeGauges) remove()
    for (const side of Object.values(sides)) side.close()
    stage.close()
    if (options.decider === undefined) await decider.close()
  }
  let closed: Promise<void> | undefined
  const close = (): Promise<void> => (closed ??= shut())

  const controls: SwitchControls<T> = {
    for: forCaller,
    within: async (context, work) => {
      const decision = await decider.decide(context)
      return (await around.run({ context, decision }, work)) as never
    },
    health: () => {
      const [old, fresh, answers] = [sideHealth('off'), sideHealth('on'), decider.health()]
      return { ok: old.ok && fresh.ok && answers.ok, off: old, on: fresh, flags: answers }
    },
    close,
    [Symbol.asyncDispose]: close,
  }
  const service = forCaller(undefined)
  for (const key of Reflect.ownKeys(controls)) {
    if (key in service) continue
    Object.defineProperty(service, key, { value: Reflect.get(controls, key), enumerable: false })
  }
  CONTROLS.set(service, controls as SwitchControls<never>)
  return service as Switched<T>
}

/** Shows which flag picks the side of a switch, so that a page can offer its way back, and whether it is up. */
function tellFlag(
  recorder: Recorder,
  name: string,
  decider: Partial<FlagDecider>,
  flag: string | undefined,
  flagsAreUp: () => boolean,
): () => void {
  const labels = { switch: name, flag: decider.flag ?? flag ?? '' }
  const help = 'The flag that picks the side of a switch; the value is 1.'
  const removals = [
    recorder.gauge?.('switchback_switch_info', help, labels, () => 1),
    recorder.gauge?.('switchback_flags_up', FLAGS_UP, labels, () => (flagsAreUp() ? 1 : 0)),
  ]
  return () => {
    for (const remove of removals) remove?.()
  }
}
