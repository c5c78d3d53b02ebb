import { oneLine } from '../errors.ts'
import type { Decider, Decision, DecisionContext } from '../flags/index.ts'
import type { Side } from '../side.ts'
import { closedError, type Notify, type UnderWay } from '../switch/index.ts'
import { type CallRecorder, noTelemetry, type Recorder } from '../telemetry/index.ts'
import {
  askSide,
  begin,
  type Call,
  isPaired,
  mayFallBack,
  passesBy,
  sideAnswered,
  sideFailed,
} from './call/call.ts'
import type { CallSide } from './call/call-side.ts'
import type { CallInfo, CallStage } from './options.ts'
import type { MethodPlan } from './call/method-plan.ts'
import type { Shadow } from './shadow/shadow.ts'
import { isStream, overlay, relay } from './call/relayed-streams.ts'

/** A user whose decision is made, for all calls on their behalf. */
export interface Pinned {
  readonly context: DecisionContext | undefined
  readonly decision: Decision
}

export interface CallsParts {
  readonly sides: Readonly<Record<Side, CallSide>>
  readonly decider: Decider
  readonly stage: () => CallStage
  readonly shadow: Shadow
  readonly recorder: Recorder
  readonly notify: Notify
  readonly underWay: UnderWay
  /** Whom `within` has pinned around this call; undefined outside of it. */
  readonly around: () => Pinned | undefined
  readonly onCall: ((info: CallInfo) => void) | undefined
}

/** A user whom the flag has not answered for yet, where nobody can wait for it. */
const UNKNOWN: Decision = {
  side: 'off',
  variant: '',
  reason: 'DEFAULT',
  errorCode: '',
  source: 'default',
}

/** Sends each call to the side that the flag picked for its caller. */
export class Calls {
  readonly #parts: CallsParts

  constructor(parts: CallsParts) {
    this.#parts = parts
  }

  /**
   * What the method returns: a promise, a value or a stream, as its plan says.
   * @param context undefined: whom `within` has pinned around this call, else the transaction's user
   */
  invoke(
    plan: MethodPlan,
    context: DecisionContext | undefined,
    args: readonly unknown[],
  ): unknown {
    const pinned = context === undefined ? this.#parts.around() : undefined
    const caller = pinned === undefined ? context : pinned.context
    switch (plan.returns) {
      case 'promise':
        return this.#promise(plan, caller, pinned?.decision, args)
      case 'value':
        return this.#value(plan, caller, pinned?.decision, args)
      default:
        return this.#stream(plan, caller, pinned?.decision, args)
    }
  }

  /** The picked side's own property, for what is no method. */
  property(name: PropertyKey, context: DecisionContext | undefined): unknown {
    const pinned = context === undefined ? this.#parts.around() : undefined
    const { service } = this.#parts.sides[(pinned?.decision ?? this.#decideNow(context)).side]
    return Reflect.get(service, name, service)
  }

  #decideNow(context: DecisionContext | undefined): Decision {
    const decided = this.#parts.decider.decide(context)
    return decided instanceof Promise ? UNKNOWN : decided
  }

  #promise(
    plan: MethodPlan,
    context: DecisionContext | undefined,
    pinned: Decision | undefined,
    args: readonly unknown[],
  ): Promise<unknown> {
    try {
      const now = performance.now()
      const decided = pinned ?? this.#parts.decider.decide(context, now)
      return decided instanceof Promise
        ? this.#askLater(plan, context, decided, args)
        : this.#ask(this.#begin(plan, context, decided, args, now))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #askLater(
    plan: MethodPlan,
    context: DecisionContext | undefined,
    decided: Promise<Decision>,
    args: readonly unknown[],
  ): Promise<unknown> {
    return this.#ask(this.#begin(plan, context, await decided, args))
  }

  /** One promise for nearly every call: each `async` function on its way would cost a third of all of it. */
  #ask(call: Call): Promise<unknown> {
    const { plan } = call
    this.#parts.underWay.enter()
    if (passesBy(call)) {
      call.outcome = 'fell_back'
      return this.#askOther(call).then(
        (result) => this.#answered(call, result),
        (error: unknown) => this.#failed(call, error),
      )
    }
    return askSide(
      call,
      call.own,
      call.startedAt,
      (result) => {
        sideAnswered(call, call.own)
        if (plan.toBoth && isPaired(call)) return this.#askBoth(call, result)
        const answer = this.#answered(call, result)
        this.#compare(call, result)
        return answer
      },
      (error) => {
        sideFailed(call, call.own, error)
        return mayFallBack(call) ? this.#fallBack(call, error) : this.#failed(call, error)
      },
    )
  }

  #askOther(call: Call): Promise<unknown> {
    const { other } = call
    return askSide(
      call,
      other,
      performance.now(),
      (result) => {
        sideAnswered(call, other)
        return result
      },
      (error) => {
        sideFailed(call, other, error)
        throw error
      },
    )
  }

  #fallBack(call: Call, failure: unknown): Promise<unknown> {
    return this.#askOther(call).then(
      (result) => this.#answered(call, result),
      (error: unknown) => this.#failed(call, whatMatters(call, failure, error)),
    )
  }

  #failed(call: Call, error: unknown): never {
    this.#parts.underWay.leave()
    this.#end(call)
    throw error
  }

  #answered(call: Call, result: unknown): unknown {
    this.#parts.underWay.leave()
    if (!isStream(result)) {
      this.#end(call)
      return result
    }
    const side = call.servedBy === call.own.side ? call.own : call.other
    return overlay(
      result,
      () => this.#relay(call, side, () => result),
      () => this.#end(call),
    )
  }

  /** The second leg of a write: what it does not take is told, and the write stands. */
  async #askBoth(call: Call, result: unknown): Promise<unknown> {
    const { own, other } = call
    // While it is out, no write waits for it.
    if (!other.usable) this.#other(call, 'it is out')
    else {
      try {
        await this.#askOther(call)
        this.#other(call)
      } catch (error) {
        this.#other(call, oneLine(error))
      }
      call.servedBy = own.side
    }
    return this.#answered(call, result)
  }

  #other(call: Call, failure?: string): void {
    const { plan, other } = call
    call.otherTook = failure === undefined ? 'done' : 'failed'
    plan.recorder?.other(other.side, call.otherTook)
    if (failure === undefined) return
    const detail = `${plan.name} was done on one side only: ${failure}`
    this.#parts.notify({ type: 'write-left', side: other.side, backend: other.name, detail })
  }

  #value(
    plan: MethodPlan,
    context: DecisionContext | undefined,
    pinned: Decision | undefined,
    args: readonly unknown[],
  ): unknown {
    const call = this.#begin(plan, context, pinned ?? this.#decideNow(context), args)
    const { own, other } = call
    try {
      if (passesBy(call)) {
        call.outcome = 'fell_back'
        return this.#askNow(call, other)
      }
      const result = this.#askNow(call, own)
      if (plan.toBoth && isPaired(call)) {
        try {
          this.#askNow(call, other)
          this.#other(call)
        } catch (error) {
          this.#other(call, oneLine(error))
        }
        call.servedBy = own.side
      }
      this.#compare(call, result)
      return result
    } catch (error) {
      if (!mayFallBack(call)) throw error
      try {
        return this.#askNow(call, other)
      } catch (second) {
        throw whatMatters(call, error, second)
      }
    } finally {
      this.#end(call)
    }
  }

  #askNow(call: Call, side: CallSide): unknown {
    try {
      const result = begin(call, side)
      sideAnswered(call, side)
      return result
    } catch (error) {
      sideFailed(call, side, error)
      throw error
    }
  }

  async *#stream(
    plan: MethodPlan,
    context: DecisionContext | undefined,
    pinned: Decision | undefined,
    args: readonly unknown[],
  ): AsyncGenerator<unknown> {
    const decision = pinned ?? (await this.#parts.decider.decide(context))
    const call = this.#begin(plan, context, decision, args)
    if (passesBy(call)) call.outcome = 'fell_back'
    yield* this.#relay(call, passesBy(call) ? call.other : call.own)
  }

  /** The items of a side; of the other one, when the picked one fails before its first. */
  async *#relay(
    call: Call,
    side: CallSide,
    opened?: () => AsyncIterable<unknown>,
    instead = false,
  ): AsyncGenerator<unknown> {
    const deadlines = call.plan.deadlines[side.side]
    let [failed, reader] = [false, false]
    try {
      const source = opened?.() ?? ((await begin(call, side)) as AsyncIterable<unknown>)
      for await (const item of relay(source, deadlines)) {
        call.answeredAt ??= performance.now()
        call.servedBy = side.side
        reader = true
        yield item
        reader = false
      }
    } catch (error) {
      // What the reader throws into the stream is none of the side's.
      if (reader) throw error
      failed = true
      sideFailed(call, side, error)
      const next = call.answeredAt === undefined && side === call.own && mayFallBack(call)
      if (!next) throw error
      yield* this.#relay(call, call.other, undefined, true)
    } finally {
      if (!failed && call.answeredAt !== undefined) sideAnswered(call, side)
      if (!instead) this.#end(call)
    }
  }

  #compare(call: Call, result: unknown): void {
    const { plan, stage, own, other, args } = call
    if (plan.compare === undefined || stage !== 'compare' || !other.usable) return
    // Two streams are equal before they are read, and the second one would be left open.
    if (isStream(result)) return
    if (Math.random() < plan.compare.share) {
      this.#parts.shadow.compare(plan, own, other, args, result)
    }
  }

  #begin(
    plan: MethodPlan,
    context: DecisionContext | undefined,
    decision: Decision,
    args: readonly unknown[],
    now: number = performance.now(),
  ): Call {
    const { sides, recorder, decider, stage, underWay } = this.#parts
    if (underWay.closed) throw closedError('switch')
    const { side, variant, reason, source } = decision
    let bucket = 0
    if (recorder !== noTelemetry) {
      recorder.decision(side, variant, reason, source)
      bucket = recorder.bucketOf(decider.targetingKeyOf(context))
    }
    const [own, other] = side === 'on' ? [sides.on, sides.off] : [sides.off, sides.on]
    return {
      plan,
      args,
      decision,
      own,
      other,
      stage: stage(),
      bucket,
      startedAt: now,
      answeredAt: undefined,
      outcome: 'ok',
      servedBy: 'none',
      otherTook: 'none',
      ended: false,
      signalled: undefined,
    }
  }

  #end(call: Call): void {
    if (call.ended) return
    call.ended = true
    const { recorder } = call.plan
    if (recorder !== undefined) count(call, recorder)
    const { onCall } = this.#parts
    if (onCall !== undefined) onCall(infoOf(call))
  }
}

/** Where neither side could serve, what the picked one said; an error that is an answer was served. */
function whatMatters({ servedBy }: Call, own: unknown, other: unknown): unknown {
  return servedBy === 'none' ? own : other
}

function count(call: Call, recorder: CallRecorder): void {
  const { own, outcome, servedBy, bucket, startedAt, answeredAt = performance.now() } = call
  const ms = answeredAt - startedAt
  const elsewhere = servedBy !== 'none' && servedBy !== own.side
  recorder.ended(own.side, outcome, ms, bucket, elsewhere)
}

function infoOf({ plan, own, outcome, servedBy, otherTook, decision }: Call): CallInfo {
  return { method: plan.name, side: own.side, outcome, servedBy, other: otherTook, decision }
}
