import type { HistoryEntry } from '../../rollout/index.ts'
import { WINDOW_S } from '../metrics/replica.ts'
import type { RecentSeries } from './series.ts'

/** A line of the audit log, as the page shows it. */
export interface ChangeReading {
  readonly id: string
  /** Epoch milliseconds. */
  readonly at: number
  readonly action: HistoryEntry['action']
  /** The `on` share in percent before and after; `null` where there is none. */
  readonly from: number | null
  readonly to: number | null
  readonly who: string
  readonly via: string
  readonly reason: string
  /** Of an edit by hand: the users it moved who should have stayed; `''` when none. */
  readonly warning: string
  /** Whether it certainly concerns this flag: of an edit by hand the text before may be unknown. */
  readonly known: boolean
}

/** What all users experienced in the minute before a change and since. */
export interface ChangeEffect {
  readonly id: string
  readonly bad: BeforeAfter
  /** Milliseconds. */
  readonly p99: BeforeAfter
  /** Operations a second: the others say little where they are few. */
  readonly operations: BeforeAfter
  /** Seconds of "since" that were measured: at most five minutes, and none while it settles. */
  readonly seconds: number
}

export interface BeforeAfter {
  readonly before: number | null
  readonly after: number | null
}

const BEFORE_S = 60
const AFTER_S = 300

export function changeReading(entry: HistoryEntry): ChangeReading {
  const { id, at, action, from, to, who, via, reason, warning, flag } = entry
  return {
    id,
    at: Date.parse(at),
    action,
    from: from ?? null,
    to: to ?? null,
    who,
    via,
    reason: reason ?? '',
    warning: warning ?? '',
    known: flag !== '',
  }
}

/** Numbers whose window still includes seconds before the change count for neither. */
export function effectOf(change: ChangeReading, series: RecentSeries, now: number): ChangeEffect {
  const at = change.at / 1000
  const from = at + WINDOW_S + 1
  const to = Math.min(now / 1000, at + AFTER_S)
  const compare = (column: string): BeforeAfter => ({
    before: series.mean(column, at - BEFORE_S, at),
    after: to > from ? series.mean(column, from, to) : null,
  })
  return {
    id: change.id,
    bad: compare('all.bad'),
    p99: compare('all.p99'),
    operations: compare('all.operations'),
    seconds: Math.max(0, Math.round(to - from)),
  }
}
