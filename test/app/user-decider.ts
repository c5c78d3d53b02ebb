import { OpenFeature } from '@openfeature/server-sdk'
import type { Decider, Decision, DecisionContext, FlagHealth } from '../../src/flags/index.ts'
import type { Side } from '../../src/side.ts'

/** Puts users on the sides that a test chose; finds them in the transaction context as the real one. */
export class UserDecider implements Decider {
  readonly #sides: ReadonlyMap<string, Side>

  constructor(sides: ReadonlyMap<string, Side>) {
    this.#sides = sides
  }

  decide(context?: DecisionContext): Decision {
    const side = this.#sides.get(this.targetingKeyOf(context) ?? '') ?? 'off'
    return { side, variant: side, reason: 'TARGETING_MATCH', errorCode: '', source: 'live' }
  }

  targetingKeyOf(context?: DecisionContext): string | undefined {
    return context?.targetingKey ?? OpenFeature.getTransactionContext().targetingKey
  }

  health(): FlagHealth {
    return { ok: true, status: 'READY', since: 0, detail: '' }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
