import type { Taken } from './choices.ts'
import type { Plan } from './plan.ts'
import { type Outcome, run } from './run.ts'

export interface Shortened {
  readonly plan: Plan
  readonly outcome: Outcome
}

/** Tries that are made of each candidate with other choices, before it is given up. */
const OTHER_SEEDS = 4
const MOST_RUNS = 1500

/**
 * Leaves out of a failing run what it does not need: operations, faults, clients, processes; then answers
 * every choice plainly that may be. What is left tells the fault. The same kind of problem must remain.
 */
export async function shorten(plan: Plan, seed: number, failing: Outcome): Promise<Shortened> {
  const kind = kindOf(failing)
  let best = { plan, seed, choices: failing.choices }
  let runs = 0
  const fails = async (candidate: Plan, script?: Taken): Promise<boolean> => {
    const attempts: { seed: number; script?: Taken }[] =
      script !== undefined
        ? [{ seed: best.seed, script }]
        : [
            { seed: best.seed, script: best.choices },
            ...Array.from({ length: OTHER_SEEDS }, (_, i) => ({ seed: best.seed + i * 7919 })),
          ]
    for (const attempt of attempts) {
      if (runs >= MOST_RUNS) return false
      runs += 1
      const outcome = await run(candidate, attempt)
      if (kindOf(outcome) !== kind) continue
      best = { plan: candidate, seed: attempt.seed, choices: outcome.choices }
      return true
    }
    return false
  }

  let again = true
  while (again) {
    again = false
    for (const candidate of smaller(best.plan)) {
      if (!(await fails(candidate))) continue
      again = true
      break
    }
  }
  // Chunks of choices, ever smaller.
  runs = 0
  for (const who of best.choices.keys()) {
    const { length } = best.choices.get(who) ?? []
    for (let size = length; size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < length; at += size) {
        const mine = best.choices.get(who) ?? []
        if (mine.slice(at, at + size).every((choice) => choice === 0)) continue
        const plainer = mine.map((choice, i) => (i >= at && i < at + size ? 0 : choice))
        await fails(best.plan, new Map([...best.choices, [who, plainer]]))
      }
    }
  }
  const outcome = await run(best.plan, { seed: best.seed, script: best.choices, story: true })
  return { plan: best.plan, outcome }
}

function kindOf({ problems }: Outcome): string {
  return problems[0]?.split(':')[0] ?? ''
}

/** Plans with one thing less, the largest first. */
function* smaller(plan: Plan): Generator<Plan> {
  const { clients, faults } = plan
  for (let i = 0; i < clients.length; i += 1) {
    if (clients.length > 1) yield { ...plan, clients: clients.filter((_, j) => j !== i) }
  }
  for (let i = 0; i < faults.length; i += 1) {
    yield { ...plan, faults: faults.filter((_, j) => j !== i) }
  }
  const { outsiders } = plan
  for (let i = 0; i < (outsiders?.length ?? 0); i += 1) {
    yield { ...plan, outsiders: outsiders!.filter((_, j) => j !== i) }
  }
  for (let i = 0; i < clients.length; i += 1) {
    const { ops } = clients[i]!
    for (let j = ops.length - 1; j >= 0; j -= 1) {
      if (ops.length === 1) continue
      // The next one keeps its place in time.
      const gone = ops[j]!
      const rest = ops.flatMap((op, at) =>
        at === j ? [] : at === j + 1 ? [{ ...op, gap: op.gap + gone.gap }] : [op],
      )
      yield {
        ...plan,
        clients: clients.map((client, at) => (at === i ? { ...client, ops: rest } : client)),
      }
    }
  }
  if (plan.processes.length > 1) {
    const last = plan.processes.length - 1
    if (
      !clients.some(({ process }) => process === last) &&
      !faults.some(({ process }) => process === last)
    ) {
      yield { ...plan, processes: plan.processes.slice(0, last) }
    }
  }
  if (plan.diskPlainly < 0.98) yield { ...plan, diskPlainly: 0.98 }
  if (plan.plainly < 0.98) yield { ...plan, plainly: 0.98 }
}
