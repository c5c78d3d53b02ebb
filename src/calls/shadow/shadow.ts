import { setImmediate as nextTurn } from 'node:timers/promises'
import { oneLine } from '../../errors.ts'
import type { Notify } from '../../switch/index.ts'
import type { CallSide } from '../call/call-side.ts'
import { differences } from './differences.ts'
import type { MethodPlan } from '../call/method-plan.ts'
import { withoutSignal, withSignal } from '../call/signals.ts'

export interface ShadowParts {
  readonly limit: number
  readonly notify: Notify
}

/** The first comparisons of a method, which measure its noise alone. */
const NOISE_FIRST = 20
/** After those, one in so many. */
const NOISE_EVERY = 5
/** So many failures in a row are no bad luck: nothing is compared. */
const FAILING = 10
/** One mismatch a second is enough to start looking; the counter has them all. */
const TELL_EVERY_MS = 1000

/**
 * Asks again, behind the caller's back, and compares. Some comparisons ask the same side again: how
 * often a side differs from itself is the noise that the other side may have too.
 */
export class Shadow {
  readonly #parts: ShadowParts
  readonly #underWay = new Set<Promise<void>>()
  readonly #compared = new Map<string, number>()
  /** Failures in a row, by method and side. */
  readonly #failures = new Map<string, number>()
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(parts: ShadowParts) {
    this.#parts = parts
  }

  /** @param result what the caller gets: whoever changes it at once changes what is compared */
  compare(
    plan: MethodPlan,
    own: CallSide,
    other: CallSide,
    args: readonly unknown[],
    result: unknown,
  ): void {
    if (this.#underWay.size >= this.#parts.limit) {
      plan.recorder?.compared('other', 'shed')
      return
    }
    const count = this.#compared.get(plan.name) ?? 0
    this.#compared.set(plan.name, count + 1)
    const itself = count < NOISE_FIRST || (count + 1) % NOISE_EVERY === 0
    const run = this.#run(plan, itself ? own : other, itself, args, result)
    this.#underWay.add(run)
    void run.then(() => this.#underWay.delete(run))
  }

  /** Resolves when nothing is under way: within the longest deadline. */
  async drain(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  async #run(
    plan: MethodPlan,
    asked: CallSide,
    itself: boolean,
    args: readonly unknown[],
    result: unknown,
  ): Promise<void> {
    const { equal, reveal, deadlines } = plan.compare!
    const against = itself ? 'itself' : 'other'
    // The caller's signal is not for this.
    const bare = withoutSignal(args)
    const signalled = withSignal(bare, plan.signal)
    const given = signalled?.args ?? bare
    let [seen, same]: [unknown, boolean] = [undefined, false]
    try {
      // The caller has the answer first.
      await nextTurn()
      const answer = Reflect.apply(asked.service[plan.name as never], asked.service, given)
      seen = await deadlines[asked.side].hold(Promise.resolve(answer))
      same = equal(result, seen)
      // It would count as the same, always.
      if ((same as unknown) instanceof Promise) throw new TypeError('equal returned a promise')
      plan.recorder?.compared(against, same ? 'same' : 'mismatch')
      this.#failures.delete(`${plan.name} ${asked.side}`)
    } catch (error) {
      signalled?.own.abort(error)
      plan.recorder?.compared(against, 'failed')
      this.#failed(plan, asked, error)
      return
    }
    if (!same && !itself) this.#tell(plan, result, seen, reveal)
  }

  /** A side that never answers a comparison is told of once, until it answers one. */
  #failed({ name }: MethodPlan, { side, name: backend }: CallSide, error: unknown): void {
    const of = `${name} ${side}`
    const failures = (this.#failures.get(of) ?? 0) + 1
    this.#failures.set(of, failures)
    if (failures !== FAILING) return
    const detail = `${name}: the last ${FAILING} comparisons failed, so nothing is compared: ${oneLine(error)}`
    this.#parts.notify({ type: 'shadow-failing', side, backend, detail })
  }

  #tell(plan: MethodPlan, own: unknown, other: unknown, reveal: boolean): void {
    const now = performance.now()
    if (now - this.#toldAt < TELL_EVERY_MS) return
    this.#toldAt = now
    let where = ''
    try {
      where = differences(own, other, reveal).join('; ')
    } catch {
      // Getters may throw; the two differ all the same.
    }
    if (where === '') where = 'what `equal` compares'
    this.#parts.notify({ type: 'mismatch', detail: `${plan.name}: the sides differ at ${where}` })
  }
}
