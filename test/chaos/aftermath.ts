import { setTimeout as delay } from 'node:timers/promises'
import type { CacheHealth } from '../../src/switch/index.ts'
import type { Tally } from './tally.ts'
import type { Worker } from './workers.ts'

const RECOVERY_MS = 30_000

interface Warmth {
  /** Of 20 values stored and read again on each side. */
  readonly misses: Readonly<Record<'off' | 'on', number>>
  readonly health: CacheHealth
}

/**
 * When all faults are over: every operation ends, nothing stays pending, everybody gets well, what is
 * stored can be read again, and a fresh process is told nothing old.
 */
export async function aftermath(
  workers: readonly Worker[],
  auditor: Worker,
  tally: Tally,
): Promise<void> {
  // Whoever was out meets the healed world under load, as it would in production.
  await delay(1000)
  const asked = async (question: string): Promise<readonly unknown[]> => {
    const answers = await Promise.allSettled(workers.map((worker) => worker.ask(question)))
    return answers.flatMap((answer, i) => {
      if (answer.status === 'fulfilled') return [{ id: workers[i]!.id, answer: answer.value }]
      tally.problem(`${workers[i]!.id} could not ${question}: ${String(answer.reason)}`)
      return []
    })
  }
  await asked('quiesce')
  if (tally.options.profile.foreignBoot) await complaint(workers, tally)
  else await recovery(workers, tally)
  await warmthOrWord(asked, tally)
  await auditor.start().catch((error: unknown) => tally.problem(`audit: ${String(error)}`))
  await asked('end')
  for (const { died } of [...workers, auditor]) for (const how of died) tally.problem(how)
  await auditor.ask('end').catch(() => undefined)
}

/** Two machines on one directory are never well, and somebody has to say so. */
async function complaint(workers: readonly Worker[], tally: Tally): Promise<void> {
  const reports = await Promise.all(workers.map((worker) => worker.health()))
  if (reports.every(({ ok }) => ok)) tally.problem('two machines on one directory call it "ok"')
}

/** Until nothing is pending and everybody is well; or it is said who is not. */
async function recovery(workers: readonly Worker[], tally: Tally): Promise<void> {
  const began = performance.now()
  for (;;) {
    const reports = await Promise.all(
      workers.map((worker) => worker.health().catch((error: unknown) => String(error))),
    )
    const unwell = reports.flatMap((health, i) => {
      if (typeof health === 'string') return [`${workers[i]!.id}: ${health}`]
      const { ok, off, on } = health
      // A machine whose clock is an hour apart goes on saying so.
      const apart = [off, on].some(({ detail }) => detail.startsWith('its clock is'))
      return (ok || apart) && off.owed + on.owed === 0
        ? []
        : [`${workers[i]!.id}: ${JSON.stringify(health)}`]
    })
    if (unwell.length === 0) {
      tally.recoveredMs = performance.now() - began
      return
    }
    if (performance.now() - began > RECOVERY_MS) {
      for (const one of unwell) {
        tally.problem(`not well ${RECOVERY_MS / 1000} s after the last fault: ${one}`)
      }
      return
    }
    await delay(100)
  }
}

/** A cache that loads every read must not be "ok" for long. */
async function warmthOrWord(
  asked: (question: string) => Promise<readonly unknown[]>,
  tally: Tally,
): Promise<void> {
  const until = performance.now() + RECOVERY_MS
  for (;;) {
    const answers = (await asked('warmth')) as readonly Answer[]
    const cold = answers.flatMap(({ id, answer: { misses, health } }) =>
      (['off', 'on'] as const)
        .filter((side) => misses[side] >= 10 && health.ok)
        .map((side) => `${id}, ${side}: ${misses[side]}`),
    )
    if (cold.length === 0) return
    if (performance.now() > until) {
      const whom = cold.join('; ')
      tally.problem(`called "ok", but of 20 values just stored these were misses: ${whom}`)
      return
    }
    await delay(500)
  }
}

interface Answer {
  readonly id: string
  readonly answer: Warmth
}
