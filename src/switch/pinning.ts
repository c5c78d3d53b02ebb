import type { Decider, Decision, DecisionContext } from '../flags/index.ts'
import type { Side } from '../side.ts'
import type { Operation, Recorder } from '../telemetry/index.ts'
import type { GuardedSide } from './guarded-side.ts'
import { type OnOperation, PinnedOperation } from './operation.ts'
import type { StandbyPolicy } from './options.ts'
import { type PolicyWatch, unusedSide } from './standby-policy.ts'

/** On whose behalf an operation runs, and who wants to know how it went. */
export interface Caller {
  /** Undefined: OpenFeature's transaction context. */
  readonly context: DecisionContext | undefined
  readonly onOperation: OnOperation | undefined
}

export interface PinningParts {
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly decider: Decider
  readonly policy: PolicyWatch
  readonly recorder: Recorder
}

/** Asks once who an operation is for and which side serves it; the answer stands until its end. */
export class Pinning {
  readonly #parts: PinningParts

  constructor(parts: PinningParts) {
    this.#parts = parts
  }

  /** A promise only when policy or decision are not at hand. */
  begin(
    operation: Operation,
    caller: Caller,
    key: string,
  ): PinnedOperation | Promise<PinnedOperation> {
    const policy = this.#parts.policy.current()
    return typeof policy === 'string'
      ? this.#decide(operation, caller, key, policy)
      : policy.then((changed) => this.#decide(operation, caller, key, changed))
  }

  /** As {@link begin}, for an operation that changes something. */
  async beginWrite(operation: Operation, caller: Caller, key: string): Promise<PinnedOperation> {
    const op = await this.begin(operation, caller, key)
    if (op.single) await this.#parts.policy.keepMark(op.policy)
    return op
  }

  #decide(
    operation: Operation,
    caller: Caller,
    key: string,
    policy: StandbyPolicy,
  ): PinnedOperation | Promise<PinnedOperation> {
    const unused = unusedSide(policy)
    if (unused !== undefined) {
      return this.#pin(operation, caller, key, ONLY[unused === 'on' ? 'off' : 'on'], policy)
    }
    const decided = this.#parts.decider.decide(caller.context)
    return decided instanceof Promise
      ? decided.then((decision) => this.#pin(operation, caller, key, decision, policy))
      : this.#pin(operation, caller, key, decided, policy)
  }

  #pin(
    operation: Operation,
    caller: Caller,
    key: string,
    decision: Decision,
    policy: StandbyPolicy,
  ): PinnedOperation {
    const { sides, recorder, decider } = this.#parts
    const { side, variant, reason, source } = decision
    recorder.decision(side, variant, reason, source)
    const bucket = recorder.bucketOf(decider.targetingKeyOf(caller.context))
    const other = side === 'on' ? 'off' : 'on'
    return new PinnedOperation(operation, key, decision, sides[side], sides[other], policy, bucket)
  }
}

/** The decisions of the single-backend modes, which ask nobody. */
const ONLY: Readonly<Record<Side, Decision>> = {
  off: { side: 'off', variant: 'off', reason: 'STATIC', errorCode: '', source: 'default' },
  on: { side: 'on', variant: 'on', reason: 'STATIC', errorCode: '', source: 'default' },
}
