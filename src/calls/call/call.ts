import type { Decision } from '../../flags/index.ts'
import type { Side } from '../../side.ts'
import { isTimeout } from '../../switch/index.ts'
import type { CallOutcome } from '../../telemetry/index.ts'
import type { CallSide } from './call-side.ts'
import type { CallInfo, CallStage } from '../options.ts'
import type { MethodPlan } from './method-plan.ts'
import { type Signalled, withSignal } from './signals.ts'

/**
 * One call. Its decision holds to its end: a flip in between cannot make it use both sides. There is one for
 * every call: a class would set each of its fields twice.
 */
export interface Call {
  readonly plan: MethodPlan
  readonly args: readonly unknown[]
  readonly decision: Decision
  readonly own: CallSide
  readonly other: CallSide
  readonly stage: CallStage
  /** The user, as far as the counters may know. */
  readonly bucket: number
  readonly startedAt: number
  /** When a stream gave its first item: how long it goes on is not the side's slowness. */
  answeredAt: number | undefined
  /** Of the picked side. */
  outcome: CallOutcome
  servedBy: Side | 'none'
  otherTook: CallInfo['other']
  ended: boolean
  /** What the side that was asked last has for a signal; undefined where the method takes none. */
  signalled: Signalled | undefined
}

/** Whether the other side is there for this call at all. */
export function isPaired({ stage }: Call): boolean {
  return stage !== 'alone'
}

/** Whether the other side is to serve at once, because the picked one is out. */
export function passesBy(call: Call): boolean {
  return !call.own.usable && call.plan.fallsBack && isPaired(call) && call.other.usable
}

/** Whether the other side may serve after the picked one has failed. */
export function mayFallBack(call: Call): boolean {
  const failed = call.outcome === 'failed' || call.outcome === 'timed_out'
  return failed && call.plan.fallsBack && isPaired(call) && call.other.usable
}

/**
 * Asks a side: what comes of its answer or failure, `SB_DEADLINE` among them.
 *
 * @param since `performance.now()` from which on it is waited for
 */
export function askSide(
  call: Call,
  side: CallSide,
  since: number,
  answered: (result: unknown) => unknown,
  failed: (error: unknown) => unknown,
): Promise<unknown> {
  let begun: unknown
  try {
    begun = begin(call, side)
  } catch (error) {
    begun = Promise.reject(error)
  }
  const promise = begun instanceof Promise ? begun : Promise.resolve(begun)
  const { off, on } = call.plan.deadlines
  return (side.side === 'on' ? on : off).wait(promise, since, answered, failed)
}

/** What the side's method returns, or throws. */
export function begin(call: Call, { service }: CallSide): unknown {
  const { plan, args } = call
  const signalled = withSignal(args, plan.signal)
  call.signalled = signalled
  return Reflect.apply(service[plan.name as never], service, signalled?.args ?? args)
}

export function sideAnswered(call: Call, side: CallSide): void {
  side.succeeded()
  call.servedBy = side.side
}

/** Tells apart what is an outage, what is an answer and what the caller wanted. */
export function sideFailed(call: Call, side: CallSide, error: unknown): void {
  const { signalled } = call
  const late = isTimeout(error)
  if (late) signalled?.own.abort(error)
  if (signalled?.caller?.aborted === true) {
    // How the picked side did stands, where it has ended already.
    if (side === call.own || call.outcome === 'fell_back') call.outcome = 'aborted'
  } else if (late || side.means(error, call.plan.name)) {
    side.failed(error)
    if (side === call.own) call.outcome = late ? 'timed_out' : 'failed'
  } else sideAnswered(call, side)
}
