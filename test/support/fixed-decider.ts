import type { Decider, Decision, DecisionContext, FlagHealth } from '../../src/flags/index.ts'
import type { Side } from '../../src/side.ts'

/** Users whose side the test moves by hand; everybody else is `off`. */
export class FixedDecider implements Decider {
  readonly sides: Map<string, Side> = new Map()
  /** How many decisions were asked for. */
  asked = 0
  healthy: FlagHealth = { ok: true, status: 'READY', since: 0, detail: '' }

  constructor(sides: Readonly<Record<string, Side>> = {}) {
    for (const [user, side] of Object.entries(sides)) this.sides.set(user, side)
  }

  decide(context?: DecisionContext): Decision {
    this.asked += 1
    const side = this.sides.get(context?.targetingKey ?? '') ?? 'off'
    return { side, variant: side, reason: 'TARGETING_MATCH', errorCode: '', source: 'remembered' }
  }

  targetingKeyOf(context?: DecisionContext): string | undefined {
    return context?.targetingKey
  }

  health(): FlagHealth {
    return this.healthy
  }

  async close(): Promise<void> {}
}
