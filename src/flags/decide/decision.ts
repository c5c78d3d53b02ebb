import type { Side } from '../../side.ts'
import type { FlagConfiguration } from '../source/configuration.ts'
import type { LiveSplit } from './live-split.ts'

/**
 * The evaluation context. `targetingKey` is the user (any stable string); the rest are attributes
 * that targeting rules may read, e.g. `plan`, and `feature`, which the cache sets to its own name.
 */
export interface DecisionContext {
  readonly targetingKey?: string
  readonly [attribute: string]: string | number | boolean | null | undefined
}

/**
 * Where a decision came from:
 * - `live`: evaluated just now;
 * - `remembered`: evaluated before under the same configuration;
 * - `held`: the flag service did not answer in time; the last known answer stays;
 * - `default`: the flag service did not answer, and no answer is known of this user that still counts: `off`.
 */
export type DecisionSource = 'live' | 'remembered' | 'held' | 'default'

export interface Decision {
  readonly side: Side
  /** The flag's variant, e.g. `on`; `''` when the provider names none. */
  readonly variant: string
  /** OpenFeature's reason, e.g. `TARGETING_MATCH`, `DEFAULT`, `ERROR`. */
  readonly reason: string
  /** OpenFeature's error code when the evaluation failed, else `''`. */
  readonly errorCode: string
  readonly source: DecisionSource
}

/** Asks the flag which side serves. The switch knows feature flags only through this interface. */
export interface Decider {
  /**
   * The side for this context; without one, OpenFeature's transaction context. Synchronous when the
   * answer is remembered (the hot path), else within the evaluation deadline. Never throws or rejects.
   *
   * @param now `performance.now()`, where the caller has just looked at the clock
   */
  decide(context?: DecisionContext, now?: number): Decision | Promise<Decision>
  /** The targeting key that `decide` would use: the context's, else the transaction context's. */
  targetingKeyOf(context?: DecisionContext): string | undefined
  /** Whether the flag source can be asked, and since when it cannot. */
  health(): FlagHealth
  close(): Promise<void>
}

/** A {@link Decider} that knows which flag it asks. */
export interface FlagDecider extends Decider {
  readonly flag: string
  /** What targeting rules see as the attribute `feature`. */
  readonly feature: string | undefined
}

export interface FlagHealth {
  readonly ok: boolean
  /** OpenFeature's provider status, e.g. `READY`, `STALE`, `ERROR`, `NOT_READY`. */
  readonly status: string
  /** Epoch milliseconds of the last change of `ok`. */
  readonly since: number
  /** One line for people: what is wrong. `''` when ok. */
  readonly detail: string
  /** Which share goes to the new side in this process now; absent until it is known. */
  readonly liveSplit?: LiveSplit
  /** The configuration in force; absent where the provider does not tell. */
  readonly configuration?: FlagConfiguration
}
