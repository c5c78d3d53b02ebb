import { setImmediate } from 'node:timers/promises'
import type { FlagsDocument } from '../file/document.ts'
import { type Answer, attributesOf, createEvaluator, movesByItself } from './evaluate.ts'
import { syntheticUser, type User } from './evaluate.ts'
import { flagNode } from '../file/flag-members.ts'
import { sidesOf } from '../split/split.ts'

export interface PreviewOptions {
  readonly flag: string
  readonly before: FlagsDocument
  readonly after: FlagsDocument
  /**
   * Who is evaluated: targeting keys or whole evaluation contexts, also in lists, or a number of made-up
   * users.
   * @default 100_000
   */
  readonly users?: number | Iterable<User | readonly User[]> | AsyncIterable<User | readonly User[]>
  /**
   * How many users who join, and how many who leave, are named in the result.
   * @default 5
   */
  readonly names?: number
  /** Called about ten times a second with the number of users done. */
  readonly onProgress?: (done: number) => void
  readonly signal?: AbortSignal
}

/** A Set has room for 16 million. Of more users than this a repetition may be counted. */
const MOST_KNOWN = 10_000_000

/** Who moves when one flags document replaces another. */
export interface Preview {
  readonly users: number
  /** How often a user was listed again, with the same attributes: counted once. */
  readonly repeated: number
  /** The attributes that the rule reads and that no user has, by name: its conditions on them met nobody. */
  readonly lacking: readonly string[]
  /** How many are `on` before and after. */
  readonly on: { readonly before: number; readonly after: number }
  /** How many get each variant before and after. */
  readonly variants: {
    readonly before: Readonly<Record<Answer, number>>
    readonly after: Readonly<Record<Answer, number>>
  }
  /** Those who get `on` and did not, and the first few of them. */
  readonly joins: Moved
  /** Those who got `on` and no longer do. */
  readonly leaves: Moved
  /** Those whose variant changes in any way. */
  readonly moves: number
  /** The rule depends on the time: the result changes without an edit. */
  readonly movesByItself: boolean
}

export interface Moved {
  readonly count: number
  readonly examples: readonly string[]
}

/**
 * Evaluates every user under both documents as flagd does. Yields to the event loop about 50 times
 * a second, so that a progress bar moves and `signal` is noticed.
 *
 * @throws the signal's reason when aborted.
 */
export async function preview(options: PreviewOptions): Promise<Preview> {
  const { flag, before, after, names = 5, onProgress, signal } = options
  const evaluateBefore = createEvaluator(before, flag)
  const evaluateAfter = after === before ? undefined : createEvaluator(after, flag)
  const onBefore = sidesOf(flagNode(before, flag))?.on ?? 'on'
  const onAfter = sidesOf(flagNode(after, flag))?.on ?? 'on'
  const counts = { before: new Counts(), after: new Counts() }
  const joins = { count: 0, examples: [] as string[] }
  const leaves = { count: 0, examples: [] as string[] }
  let users = 0
  let moves = 0

  const lacking = new Set([...attributesOf(before, flag), ...attributesOf(after, flag)])
  const seen = new Set<string>()
  let repeated = 0
  const isKnown = (user: User): boolean => {
    const name = typeof user === 'string' ? user : JSON.stringify(user)
    if (seen.has(name)) return true
    if (seen.size < MOST_KNOWN) seen.add(name)
    return false
  }

  const ask = (user: User): void => {
    if (lacking.size > 0 && typeof user !== 'string') {
      for (const name of lacking) if (Object.hasOwn(user, name)) lacking.delete(name)
    }
    const old = evaluateBefore(user)
    const now = evaluateAfter === undefined ? old : evaluateAfter(user)
    users++
    counts.before.add(old)
    counts.after.add(now)
    const wasOn = old === onBefore
    const isOn = now === onAfter
    if (wasOn !== isOn) {
      const side = isOn ? joins : leaves
      side.count++
      if (side.examples.length < names) {
        side.examples.push(typeof user === 'string' ? user : user.targetingKey)
      }
    }
    if (old !== now) moves++
  }

  let breath = performance.now()
  let told = breath
  // Checked after each user, since the cost of one depends on the rule.
  const timeToBreathe = (): boolean => performance.now() - breath >= 20
  const breathe = async (): Promise<void> => {
    signal?.throwIfAborted()
    if (performance.now() - told >= 100) {
      onProgress?.(users)
      told = performance.now()
    }
    await setImmediate()
    breath = performance.now()
  }

  const source = options.users ?? 100_000
  if (typeof source === 'number') {
    const make = syntheticUser(after, flag)
    for (let index = 0; index < source; index++) {
      ask(make(index))
      if (timeToBreathe()) await breathe()
    }
  } else {
    for await (const some of source) {
      for (const user of isList(some) ? some : [some]) {
        if (isKnown(user)) repeated++
        else ask(user)
        if (timeToBreathe()) await breathe()
      }
    }
  }
  signal?.throwIfAborted()
  onProgress?.(users)
  return {
    users,
    repeated,
    lacking: [...lacking].toSorted(),
    on: { before: counts.before.of(onBefore), after: counts.after.of(onAfter) },
    variants: {
      before: counts.before.all(),
      after: counts.after.all(),
    },
    joins,
    leaves,
    moves,
    movesByItself: movesByItself(before, flag) || movesByItself(after, flag),
  }
}

function isList(users: User | readonly User[]): users is readonly User[] {
  return Array.isArray(users)
}

class Counts {
  readonly #counts = new Map<Answer, { of: number }>()

  add(answer: Answer): void {
    const count = this.#counts.get(answer)
    if (count === undefined) this.#counts.set(answer, { of: 1 })
    else count.of++
  }

  of(answer: Answer): number {
    return this.#counts.get(answer)?.of ?? 0
  }

  all(): Record<Answer, number> {
    const counts = [...this.#counts].map(([answer, { of }]) => [answer, of] as const)
    return Object.fromEntries(counts.sort())
  }
}
