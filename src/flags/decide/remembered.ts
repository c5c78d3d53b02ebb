import { memoryKeyOf, targetingKeyIn } from './decision-context.ts'
import { type FlagAnswer, NOT_ANSWERED } from './flag-answer.ts'
import type { Decision, DecisionContext } from './decision.ts'
import type { Side } from '../../side.ts'
import { transactionContext } from './transaction-context.ts'

/** The last answer for one user. Never changed, since users who were asked about in the same moment share it. */
export interface Remembered {
  /** What to give: the answer as remembered, or as held. */
  readonly decision: Decision
  readonly answer: FlagAnswer
  /** When its evaluation began, by {@link ticks}. */
  readonly at: number
  /** The configuration that it was evaluated under. */
  readonly epoch: number
}

/**
 * Milliseconds as a 32-bit integer, which costs an entry 8 bytes where a fraction would cost 24. It
 * wraps after 24 days: compare by {@link elapsed}. Monotonic: setting the clock back ages nothing.
 */
export function ticks(): number {
  return performance.now() | 0
}

/** Milliseconds from `then` to `now`, right for anything under 24 days. */
export function elapsed(then: number, now: number): number {
  return (now - then) | 0
}

/**
 * The remembered answers, at most `max`, in two generations, so that a hit moves nothing. When the
 * young one holds half of the allowance, it becomes the old one and the former old one is dropped;
 * users seen meanwhile have moved to the young one.
 */
export class Memory {
  readonly #half: number
  #young = new Map<string, Remembered>()
  #old = new Map<string, Remembered>()

  constructor(max: number) {
    this.#half = Math.max(1, Math.floor(max / 2))
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(key: string): Remembered | undefined {
    return this.#young.get(key) ?? this.#promoted(key)
  }

  set(key: string, entry: Remembered): void {
    if (this.#young.has(key)) {
      // The key that is there already stays.
      this.#young.set(key, entry)
      return
    }
    this.#old.delete(key)
    this.#insert(key, entry)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }

  #promoted(key: string): Remembered | undefined {
    const entry = this.#old.get(key)
    if (entry === undefined) return undefined
    this.#old.delete(key)
    this.#insert(key, entry)
    return entry
  }

  #insert(key: string, entry: Remembered): void {
    this.#young.set(compact(key), entry)
    if (this.#young.size < this.#half) return
    this.#old = this.#young
    this.#young = new Map()
  }
}

/**
 * Evaluations of so many milliseconds count as of their beginning, a power of 2, where decisions are remembered for
 * long: a process with many users then has one entry for some of them instead of one for each.
 */
const MOMENT_MS = 16
const LONG_MS = 1_000

/** A copy: a user id cut out of a request would keep the whole request alive. */
function compact(key: string): string {
  return JSON.parse(JSON.stringify(key)) as string
}

/** Decisions that are given without asking the flag: all but the first of each user, and of each while. */
export abstract class RememberedDecisions {
  protected readonly memory: Memory
  /** Incremented by each change of the configuration. */
  protected epoch = 0
  protected readonly refreshAfterMs: number
  readonly #rememberMs: number
  readonly #moment: number
  /** The last of each side, for who is asked about in the same moment. */
  readonly #last: { [side in Side]?: Remembered } = {}

  constructor(maxRemembered: number, rememberMs: number) {
    this.memory = new Memory(maxRemembered)
    this.#rememberMs = rememberMs
    this.refreshAfterMs = Math.floor(rememberMs / 2)
    this.#moment = rememberMs < LONG_MS ? 1 : MOMENT_MS
  }

  /** When the present moment began, by {@link ticks}. */
  protected moment(): number {
    return ticks() & -this.#moment
  }

  protected remember(
    key: string,
    decision: Decision,
    answer: FlagAnswer,
    at: number,
    epoch: number,
  ): Remembered {
    const last = this.#last[decision.side]
    const same =
      last?.at === at &&
      last.epoch === epoch &&
      last.decision === decision &&
      last.answer === answer
    const entry = same ? last : { decision, answer, at, epoch }
    this.#last[decision.side] = entry
    this.memory.set(key, entry)
    return entry
  }

  decide(context?: DecisionContext, now: number = performance.now()): Decision | Promise<Decision> {
    const asked = context ?? transactionContext()
    let key: string
    try {
      key = memoryKeyOf(asked)
    } catch {
      // The attributes cannot be serialised, e.g. an object that contains itself.
      return NOT_ANSWERED
    }
    const known = this.memory.get(key)
    if (known !== undefined && known.epoch === this.epoch) {
      const age = elapsed(known.at, now | 0)
      if (age < this.refreshAfterMs) return known.decision
      if (age < this.#rememberMs) {
        this.refresh(key, asked)
        return known.decision
      }
    }
    return this.ask(key, asked, known)
  }

  targetingKeyOf(context?: DecisionContext): string | undefined {
    return targetingKeyIn(context ?? transactionContext())
  }

  /** Asks the flag in the background. */
  protected abstract refresh(key: string, context: DecisionContext): void

  protected abstract ask(
    key: string,
    context: DecisionContext,
    known: Remembered | undefined,
  ): Decision | Promise<Decision>
}
