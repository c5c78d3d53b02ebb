import type { Side } from '../side.ts'
import { type Debts, SINGLE_MODE_MARK } from './debts.ts'
import type { Notify } from './events.ts'
import type { StandbyPolicy } from './options.ts'

/** The side that a policy leaves out, if it leaves one out. */
export function unusedSide(policy: StandbyPolicy): Side | undefined {
  if (policy === 'only-off') return 'on'
  return policy === 'only-on' ? 'off' : undefined
}

export interface PolicyWatchParts {
  readonly read: () => StandbyPolicy
  readonly debts: Debts
  readonly notify: Notify
}

/** Follows the standby policy, and distrusts the side that a single-backend mode had left out. */
export class PolicyWatch {
  readonly #parts: PolicyWatchParts
  #last: StandbyPolicy | undefined
  #changing: Promise<void> | undefined

  constructor(parts: PolicyWatchParts) {
    this.#parts = parts
  }

  /** The policy for one operation. A promise only while the policy changes. */
  current(): StandbyPolicy | Promise<StandbyPolicy> {
    const policy = this.#parts.read()
    if (policy === this.#last && this.#changing === undefined) return policy
    this.#changing ??= this.#change(policy).finally(() => {
      this.#changing = undefined
    })
    return this.#changing.then(() => policy)
  }

  /** Called by each write in a single-backend mode: another process may have left the mode. */
  async keepMark(policy: StandbyPolicy): Promise<void> {
    const unused = unusedSide(policy)
    if (unused === undefined || this.#parts.debts.owes(unused, SINGLE_MODE_MARK)) return
    await this.#parts.debts.owe(unused, SINGLE_MODE_MARK, 0)
  }

  async #change(policy: StandbyPolicy): Promise<void> {
    const { debts, notify } = this.#parts
    const was = this.#last
    const leftOut = was === undefined ? undefined : unusedSide(was)
    for (const side of ['off', 'on'] as const) {
      const returns = side === leftOut || debts.owes(side, SINGLE_MODE_MARK)
      if (returns && side !== unusedSide(policy)) {
        await debts.writeOff(side, `back in use after ${was ?? 'a single-backend mode'}`)
      }
    }
    await this.keepMark(policy)
    this.#last = policy
    if (was !== undefined) notify({ type: 'standby-changed', detail: `${was} -> ${policy}` })
  }
}
