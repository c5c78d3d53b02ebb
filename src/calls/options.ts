import type { Decider, Decision, FlagsSource } from '../flags/index.ts'
import type { Side } from '../side.ts'
import type { CallOutcome, Recorder } from '../telemetry/index.ts'
import type { BreakerOptions, SwitchEvent } from '../switch/index.ts'

// Any function: parameters are checked where the service's own type is used.
// oxlint-disable-next-line typescript/no-explicit-any
export type Method = (...args: any[]) => unknown

/** What a method of the service resolves to. */
export type CallResult<F> = F extends Method ? Awaited<ReturnType<F>> : never

/**
 * What the switch does for the side that the flag did not pick:
 * - `alone`: nothing; it is not read, written or compared, also not when the other one fails;
 * - `mirror`: it takes the writes that go to both, and serves reads that may fall back;
 * - `compare`: the same, and a share of the reads is compared.
 */
export type CallStage = 'alone' | 'mirror' | 'compare'

/** Whether an error means that the side failed. */
export type IsFailure = (error: unknown, method: string) => boolean

export const CALL_STAGES: readonly CallStage[] = ['alone', 'mirror', 'compare']

export interface CallSettings {
  /**
   * Milliseconds that the caller waits for a side; of a stream, for each item.
   * @default the switch's
   */
  readonly deadlineMs?: number
  /**
   * Index of the argument that is an `AbortSignal`, or an object with a `signal`: the side gets one there
   * that is aborted at the deadline, also when the caller gave none. @default the first argument that
   * holds one
   */
  readonly signal?: number
}

/** Goes to the picked side, and only there. */
export interface PlainCall extends CallSettings {
  readonly kind?: 'call'
}

/** May be asked of either side. */
export interface ReadCall<R = unknown> extends CallSettings {
  readonly kind: 'read'
  /** Asks the other side when this one fails, is late, or is out. @default false */
  readonly fallback?: boolean
  /** Asks the other side too, now and then, after the caller was answered. @default never */
  readonly compare?: CompareOptions<R>
}

/** Changes something; it never runs twice unless an option says so. */
export interface WriteCall extends CallSettings {
  readonly kind: 'write'
  /**
   * `both`: the picked side, then the other one. The caller gets the picked side's result, and waits for
   * both; what the other did not take is an event and a count, and the write stands. @default 'picked'
   */
  readonly to?: 'picked' | 'both'
  /** Running it twice does no harm: the other side takes it when the picked one fails. @default false */
  readonly idempotent?: boolean
}

export interface CompareOptions<R = unknown> {
  /** Share of the reads, 0 to 1. @default 0.01 */
  readonly share?: number
  /** Whether two results mean the same. @default deep equality */
  readonly equal?: (own: R, other: R) => boolean
  /** Milliseconds for the other side. @default the method's deadline */
  readonly deadlineMs?: number
  /**
   * Reports values where they differ, cut at 60 characters. Otherwise only where they do: results may
   * hold what must not be in a log. @default false
   */
  readonly reveal?: boolean
}

/** What may be said of a method, by what it returns. */
export type CallOptions<F> =
  | (PlainCall & CallReturns<F>)
  | (ReadCall<CallResult<F>> & CallReturns<F>)
  | (WriteCall & CallReturns<F>)

/**
 * A method that returns no promise has to say so, because the flag's answer for a new user is one.
 * - `value`: the method is synchronous. A user whose side is not known yet is on `off`, and there is no
 *   deadline; pin the decision by `within` where that matters;
 * - `stream`: it returns an async iterable, which begins once the side is known.
 */
export type CallReturns<F> = F extends (...args: never) => infer R
  ? 0 extends 1 & R
    ? { readonly returns?: 'promise' | 'value' | 'stream' }
    : R extends PromiseLike<unknown>
      ? { readonly returns?: 'promise' }
      : R extends AsyncIterable<unknown>
        ? { readonly returns: 'stream' }
        : { readonly returns: 'value' }
  : never

export type MethodNames<T> = { [K in keyof T]: T[K] extends Method ? K : never }[keyof T]
export type PromiseMethodNames<T> = {
  [K in keyof T]: T[K] extends (...args: never) => infer R
    ? R extends PromiseLike<unknown>
      ? K
      : never
    : never
}[keyof T]

/** Methods that are not named go to the picked side, under the switch's deadline. */
export type SwitchMethods<T> = {
  readonly [K in PromiseMethodNames<T>]?: CallOptions<T[K]>
} & {
  readonly [K in Exclude<MethodNames<T>, PromiseMethodNames<T>>]: CallOptions<T[K]>
}

/** What one call did, for traces, response headers and tests. */
export interface CallInfo {
  readonly method: string
  /** The side that the flag picked. */
  readonly side: Side
  readonly outcome: CallOutcome
  readonly servedBy: Side | 'none'
  /** Of a write that goes to both: whether the other side took it. */
  readonly other: 'done' | 'failed' | 'none'
  readonly decision: Decision
}

export type SwitchOptions<T extends object> = SwitchBase<T> &
  ([Exclude<MethodNames<T>, PromiseMethodNames<T>>] extends [never]
    ? { readonly methods?: SwitchMethods<T> }
    : { readonly methods: SwitchMethods<T> })

export interface SwitchBase<T extends object> {
  /** Key of the boolean flag that picks the side for each user; false is `off`, true is `on`. */
  readonly flag?: string
  /** Where the flag comes from. @default as for `createCacheSwitch` */
  readonly flags?: FlagsSource
  /** Asks its flag, instead of {@link flag}. */
  readonly decider?: Decider
  /** The old implementation. It is not closed with the switch. */
  readonly off: T
  /** The new one. */
  readonly on: T
  /** The label `switch` of the metrics, and the attribute `feature` of targeting rules. @default the flag */
  readonly name?: string
  /** What the two are called in events and health. @default 'old' and 'new' */
  readonly names?: Readonly<Partial<Record<Side, string>>>
  /** Milliseconds after which a side that did not answer has failed. @default 1000 */
  readonly deadlineMs?: number
  /** A stage, or the key of a string flag whose variants are stages. @default 'compare' */
  readonly standby?: CallStage | { readonly flag: string }
  /**
   * Whether an error means that the side failed, instead of being its answer (a 404 is no outage).
   * @default every error does
   */
  readonly isFailure?: IsFailure
  readonly breaker?: BreakerOptions
  /** One request that proves that a side can serve again. @default after a while it is simply tried */
  readonly probe?: (service: T, side: Side) => Promise<unknown>
  /** Comparisons that may be under way; more are dropped and counted. @default 64 */
  readonly maxBackground?: number
  /** Counts what each side does. @default nothing is counted */
  readonly telemetry?: Recorder
  /** Called on changes of state, for the log. @default console.warn, a line each */
  readonly onEvent?: (event: SwitchEvent) => void
  /** Called when a call has ended. @default nobody is */
  readonly onCall?: (info: CallInfo) => void
}
