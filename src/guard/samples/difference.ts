import type { ArmCounters, Reading, Selected } from './reading.ts'

/** What one replica did between two readings. */
export interface Difference {
  readonly replica: string
  readonly elapsedS: number
  /** The process or a counter restarted: everything since then counts, on both sides. */
  readonly reset: boolean
  readonly arms: Reading['arms']
  readonly selected: ReadonlyMap<string, Selected>
}

/**
 * The first reading of a replica is a baseline and yields nothing. After a restart or a fallen
 * counter BOTH sides count from zero: from zero for one alone would give it operations that the
 * other lacks. The same sample twice yields nothing either.
 */
export function difference(before: Reading | undefined, now: Reading): Difference | undefined {
  if (before === undefined || now.at <= before.at) return undefined
  const restarted = now.instance !== before.instance || now.startedAt !== before.startedAt
  const reset =
    restarted || fell(before.arms.off, now.arms.off) || fell(before.arms.on, now.arms.on)
  const rest = { replica: now.replica, elapsedS: now.at - before.at, reset }
  if (reset) return { ...rest, arms: now.arms, selected: now.selected }
  return {
    ...rest,
    arms: {
      off: subtractArm(before.arms.off, now.arms.off),
      on: subtractArm(before.arms.on, now.arms.on),
    },
    selected: new Map(
      Array.from(now.selected, ([text, value]) => [
        text,
        subtract(before.selected.get(text), value),
      ]),
    ),
  }
}

function anyFell(before: Float64Array, now: Float64Array | undefined): boolean {
  return before.some((value, i) => (now?.[i] ?? 0) < value)
}

function fell(before: ArmCounters, now: ArmCounters): boolean {
  return (
    anyFell(before.operations, now.operations) ||
    anyFell(before.failed, now.failed) ||
    anyFell(before.fellBack, now.fellBack) ||
    anyFell(before.repeatMisses, now.repeatMisses) ||
    anyFell(before.compared, now.compared) ||
    anyFell(before.mismatched, now.mismatched) ||
    Array.from(before.late).some(([bound, list]) => anyFell(list, now.late.get(bound))) ||
    now.users < before.users
  )
}

function minus(now: Float64Array, before: Float64Array | undefined): Float64Array {
  return now.map((value, i) => value - (before?.[i] ?? 0))
}

function subtractArm(before: ArmCounters, now: ArmCounters): ArmCounters {
  return {
    operations: minus(now.operations, before.operations),
    failed: minus(now.failed, before.failed),
    fellBack: minus(now.fellBack, before.fellBack),
    repeatMisses: minus(now.repeatMisses, before.repeatMisses),
    compared: minus(now.compared, before.compared),
    mismatched: minus(now.mismatched, before.mismatched),
    late: new Map(
      Array.from(now.late, ([bound, list]) => [bound, minus(list, before.late.get(bound))]),
    ),
    users: now.users - before.users,
  }
}

/**
 * A single selected counter that fell is another program's: it counts from zero, and gauges keep
 * `max`.
 */
function subtract(before: Selected | undefined, now: Selected): Selected {
  const since = (a: number, b: number): number => (b >= a ? b - a : b)
  return {
    sum: since(before?.sum ?? 0, now.sum),
    max: now.max,
    off: since(before?.off ?? 0, now.off),
    on: since(before?.on ?? 0, now.on),
  }
}
