import { clock } from '../../clock.ts'
import type { Verdict } from '../rule/index.ts'
import type { Reading, SideOut } from '../samples/reading.ts'

/** A replica whose breaker of the new side is open. */
export interface SideOutOn extends SideOut {
  readonly replica: string
}

export function sidesOut(readings: readonly Reading[]): readonly SideOutOn[] {
  return readings.flatMap(({ replica, out }) =>
    out.filter(({ side }) => side === 'on').map((one) => ({ ...one, replica })),
  )
}

/** `redis cannot be reached from app-2:3002 since 14:03:12`; '' when it can. */
export function whoIsOut(out: readonly SideOutOn[]): string {
  const [first] = out
  if (first === undefined) return ''
  const replicas = [...new Set(out.map(({ replica }) => replica))]
  const since = Math.min(...out.map((one) => one.since))
  const where = replicas.length > 3 ? `${replicas.length} replicas` : replicas.join(', ')
  return `${first.backend} cannot be reached from ${where} since ${clock(since * 1000)} UTC`
}

/** The alarm: what is the matter, and what callers notice of it. */
export function outText(out: readonly SideOutOn[], verdict: Verdict | undefined): string {
  const who = whoIsOut(out)
  if (who === '') return ''
  const failed = verdict?.metrics.find(({ id }) => id === 'failed')?.recent.treatment
  if (failed === undefined) return `${who} (breaker open)`
  const harm =
    failed.bad === 0 ? 'no request failed' : `${failed.bad} requests failed in the last minute`
  return `${who} (breaker open; ${harm})`
}
