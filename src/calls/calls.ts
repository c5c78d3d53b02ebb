import { oneLine } from '../errors.ts'
import type { Decider, Decision, DecisionContext } from '../flags/index.ts'
import { otherSide, type Side } from '../side.ts'
import { closedError, type Notify, type UnderWay } from '../switch/index.ts'
import type { Recorder } from '../telemetry/index.ts'
import { Attempt, Call } from './call/call.ts'
import type { CallSide } from './call/call-side.ts'
import type { CallInfo, CallStage, IsFailure } from './options.ts'
import type { MethodPlan } from './call/plan.ts'
import type { Shadow } from './shadow/shadow.ts'
import { isStream, overlay, relay } from './call/streams.ts'

/** On whose behalf a call is made. */
export interface Caller {
  readonly context: DecisionContext | undefined
  /** Holds for all calls of this caller. */
  readonly pinned?: Decision
}

export interface CallsParts {
  readonly sides: Readonly<Record<Side, CallSide>>
  readonly decider: Decider
  readonly stage: () => CallStage
  readonly shadow: Shadow
  readonly recorder: Recorder
  readonly isFailure: IsFailure
  readonly notify: Notify
  readonly underWay: UnderWay
  /** Whom `within` has pinned around this call; undefined outside of it. */
  readonly around: () => Caller | undefined
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

  /** What the method returns: a promise, a value or a stream, as its plan says. */
  invoke(plan: MethodPlan, forWhom: Caller, args: readonly unknown[]): unknown {
    const caller = this.#who(forWhom)
    if (plan.returns === 'value') return this.#value(plan, caller, args)
    return plan.returns === 'stream'
      ? this.#stream(plan, caller, args)
      : this.#promise(plan, caller, args)
  }

  /** The picked side's own property, for what is no method. */
  property(name: PropertyKey, caller: Caller): unknown {
    const { service } = this.#parts.sides[this.#decideNow(this.#who(caller)).side]
    return Reflect.get(service, name, service)
  }

  /** Whoever asks for nobody in particular asks for the one that `within` has pinned. */
  #who(caller: Caller): Caller {
    return caller.context === undefined ? (this.#parts.around() ?? caller) : caller
  }

  decide({ pinned, context }: Caller): Decision | Promise<Decision> {
    return pinned ?? this.#parts.decider.decide(context)
  }

  #decideNow(caller: Caller): Decision {
    const decided = this.decide(caller)
    return decided instanceof Promise ? UNKNOWN : decided
  }

  #promise(plan: MethodPlan, caller: Caller, args: readonly unknown[]): Promise<unknown> {
    try {
      const decided = this.decide(caller)
      return decided instanceof Promise
        ? this.#askLater(plan, caller, args, decided)
        : this.#ask(plan, caller, args, decided)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #askLater(
    plan: MethodPlan,
    caller: Caller,
    args: readonly unknown[],
    decided: Promise<Decision>,
  ): Promise<unknown> {
    return this.#ask(plan, caller, args, await decided)
  }

  /** One promise for nearly every call: each `async` function on its way would cost a third of all of it. */
  #ask(
    plan: MethodPlan,
    caller: Caller,
    args: readonly unknown[],
    decision: Decision,
  ): Promise<unknown> {
    const call = this.#begin(plan, caller, args, decision)
    this.#parts.underWay.enter()
    if (call.passesBy) {
      call.outcome = 'fell_back'
      return this.#askOther(call).then(
        (result) => this.#answered(call, result),
        (error: unknown) => this.#failed(call, error),
      )
    }
    const attempt = new Attempt(call, call.own, this.#parts.isFailure)
    return attempt.ask(
      call.startedAt,
      (result) => {
        attempt.succeeded()
        if (plan.toBoth && call.paired) return this.#askBoth(call, result)
        const answer = this.#answered(call, result)
        this.#compare(call, result)
        return answer
      },
      (error) => {
        attempt.failed(error)
        return call.mayFallBack ? this.#fallBack(call, error) : this.#failed(call, error)
      },
    )
  }

  #askOther(call: Call): Promise<unknown> {
    const attempt = new Attempt(call, call.other, this.#parts.isFailure)
    return attempt.ask(
      performance.now(),
      (result) => {
        attempt.succeeded()
        return result
      },
      (error) => {
        attempt.failed(error)
        throw error
      },
    )
  }

  /** What the picked side said is what matters when neither can serve. */
  #fallBack(call: Call, failure: unknown): Promise<unknown> {
    return this.#askOther(call).then(
      (result) => this.#answered(call, result),
      () => this.#failed(call, failure),
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

  #value(plan: MethodPlan, caller: Caller, args: readonly unknown[]): unknown {
    const call = this.#begin(plan, caller, args, this.#decideNow(caller))
    const { own, other } = call
    try {
      if (call.passesBy) {
        call.outcome = 'fell_back'
        return this.#askNow(call, other)
      }
      const result = this.#askNow(call, own)
      if (plan.toBoth && call.paired) {
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
      if (!call.mayFallBack) throw error
      try {
        return this.#askNow(call, other)
      } catch {
        throw error
      }
    } finally {
      this.#end(call)
    }
  }

  #askNow(call: Call, side: CallSide): unknown {
    const attempt = new Attempt(call, side, this.#parts.isFailure)
    try {
      const result = attempt.begin()
      attempt.succeeded()
      return result
    } catch (error) {
      attempt.failed(error)
      throw error
    }
  }

  async *#stream(
    plan: MethodPlan,
    caller: Caller,
    args: readonly unknown[],
  ): AsyncGenerator<unknown> {
    const call = this.#begin(plan, caller, args, await this.decide(caller))
    if (call.passesBy) call.outcome = 'fell_back'
    yield* this.#relay(call, call.passesBy ? call.other : call.own)
  }

  /** The items of a side; of the other one, when the picked one fails before its first. */
  async *#relay(
    call: Call,
    side: CallSide,
    opened?: () => AsyncIterable<unknown>,
    instead = false,
  ): AsyncGenerator<unknown> {
    const deadlines = call.plan.deadlines[side.side]
    const attempt = (opened && call.attempt) ?? new Attempt(call, side, this.#parts.isFailure)
    let [failed, reader] = [false, false]
    try {
      const source = opened?.() ?? ((await attempt.begin()) as AsyncIterable<unknown>)
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
      attempt.failed(error)
      const next = call.answeredAt === undefined && side === call.own && call.mayFallBack
      if (!next) throw error
      yield* this.#relay(call, call.other, undefined, true)
    } finally {
      if (!failed && call.answeredAt !== undefined) attempt.succeeded()
      if (!instead) this.#end(call)
    }
  }

  #compare(call: Call, result: unknown): void {
    const { plan, stage, own, other, args } = call
    if (plan.compare === undefined || stage !== 'compare' || !other.usable) return
    if (Math.random() < plan.compare.share) {
      this.#parts.shadow.compare(plan, own, other, args, result)
    }
  }

  #begin(plan: MethodPlan, caller: Caller, args: readonly unknown[], decision: Decision): Call {
    const { sides, recorder, decider, stage, underWay } = this.#parts
    if (underWay.closed) throw closedError('switch')
    const { side, variant, reason, source } = decision
    recorder.decision(side, variant, reason, source)
    const bucket = recorder.bucketOf(decider.targetingKeyOf(caller.context))
    return new Call(plan, args, decision, sides[side], sides[otherSide(side)], stage(), bucket)
  }

  #end(call: Call): void {
    if (call.ended) return
    call.ended = true
    const { plan, own, outcome, servedBy, decision, otherTook: other } = call
    const { recorder } = plan
    if (recorder !== undefined) {
      const ms = (call.answeredAt ?? performance.now()) - call.startedAt
      const elsewhere = servedBy !== 'none' && servedBy !== own.side
      recorder.ended(own.side, outcome, ms, call.bucket, elsewhere)
    }
    const { onCall } = this.#parts
    if (onCall === undefined) return
    onCall({ method: plan.name, side: own.side, outcome, servedBy, other, decision })
  }
}
