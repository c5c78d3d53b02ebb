import type { Decider, Decision, DecisionContext } from '../flags/index.ts'
import type { Side } from '../side.ts'
import type { Operation, Recorder } from '../telemetry/index.ts'
import type { GuardedSide } from './guarded-side.ts'
import { type OnOperation, PinnedOperation } from './operation.ts'
import type { StandbyPolicy } from './options.ts'

/** On whose behalf an operation runs, and who wants to know how it went. */
export interface Caller {
  /** Undefined: OpenFeature's transaction context. */
  readonly context: DecisionContext | undefined
  readonly onOperation: OnOperation | undefined
}

export interface PinningParts {
  readonly sides: Readonly<Record<Side, GuardedSide>>
  readonly decider: Decider
  readonly policy: () => StandbyPolicy
  /** No longer read, whatever the flag says. */
  readonly retired: Side | undefined
  readonly recorder: Recorder
}

/** Asks once who an operation is for and which side serves it; the answer stands until its end. */
export class Pinning {
  readonly #parts: PinningParts

  constructor(parts: PinningParts) {
    this.#parts = parts
  }

  /** A promise only when the decision is not at hand. */
  begin(
    operation: Operation,
    caller: Caller,
    key: string,
  ): PinnedOperation | Promise<PinnedOperation> {
    const { decider, retired } = this.#parts
    if (retired !== undefined) {
      return this.#pin(operation, caller, key, ONLY[retired === 'on' ? 'off' : 'on'])
    }
    const decided = decider.decide(caller.context)
    return decided instanceof Promise
      ? decided.then((decision) => this.#pin(operation, caller, key, decision))
      : this.#pin(operation, caller, key, decided)
  }

  #pin(operation: Operation, caller: Caller, key: string, decision: Decision): PinnedOperation {
    const { sides, recorder, decider, policy, retired } = this.#parts
    const { side, variant, reason, source } = decision
    recorder.decision(side, variant, reason, source)
    const bucket = recorder.bucketOf(decider.targetingKeyOf(caller.context))
    const other = side === 'on' ? 'off' : 'on'
    return new PinnedOperation(
      operation,
      key,
      decision,
      sides[side],
      sides[other],
      policy(),
      retired !== undefined,
      bucket,
    )
  }
}

/** The decisions where one side is retired, which ask nobody. */
const ONLY: Readonly<Record<Side, Decision>> = {
  off: { side: 'off', variant: 'off', reason: 'STATIC', errorCode: '', source: 'default' },
  on: { side: 'on', variant: 'on', reason: 'STATIC', errorCode: '', source: 'default' },
}
