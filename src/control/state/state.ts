import type { ChangeEffect, ChangeReading } from './change-reading.ts'
import type { FlagOutagesReading } from './flag-outages.ts'
import type { FlagReading } from './flag-watch.ts'
import type { GuardReading } from '../guard-view.ts'
import type { Headline } from './headline.ts'
import type { FleetReading } from '../metrics/index.ts'
import type { ProcessesReading } from './process-judge.ts'
import type { SeriesPoint } from './series.ts'
import type { SwitchReading } from './switches.ts'
import type { WayBack } from './way-back.ts'

/** All that the page shows at one moment: what `GET /api/state` answers, and each `tick` event. */
export interface ControlState {
  /** Epoch milliseconds. */
  readonly at: number
  /** Random for each start of the control page. */
  readonly boot: string
  readonly headline: Headline
  readonly flag: FlagReading
  readonly fleet: FleetReading
  readonly processes: ProcessesReading
  readonly flagOutages: FlagOutagesReading
  /** Those that `createSwitch` made, beside the cache. */
  readonly switches: readonly SwitchReading[]
  /** Whether all users are on the old side, when the file says so. */
  readonly wayBack: WayBack
  readonly guard: GuardReading | null
  /** The latest second, as in the series. */
  readonly point: SeriesPoint
  /** What the last change did; `null` without one. */
  readonly effect: ChangeEffect | null
}

/** What `GET /api/history` answers, and each `history` event: oldest first. */
export type ControlHistory = readonly ChangeReading[]

/** What `GET /api/series` answers. */
export interface ControlSeries {
  readonly boot: string
  readonly columns: readonly string[]
  readonly points: readonly SeriesPoint[]
}

/** What the page needs to know once: `GET /api/info`. */
export interface ControlInfo {
  readonly version: string
  readonly flag: string
  readonly file: string
  readonly flagd: string
  /** Whether changes need a token. */
  readonly token: boolean
  /** The author of changes without a name. */
  readonly operator: string
  readonly boot: string
}

/** The result of a change: the answer to `POST /api/share`, `/api/rollback` and `/api/undo`. */
export interface ChangeAnswer {
  readonly action: string
  readonly from: number | null
  readonly to: number | null
  /** `false` when there was nothing to change. */
  readonly written: boolean
  readonly confirmed: boolean
  /** Milliseconds from the write until flagd served the change to the first user, and to the last. */
  readonly servedMs: number | null
  readonly lastMs: number | null
  /** Users who changed sides and were asked for. */
  readonly movers: number
  /** The processes that must decide it, and those that do; `null` without known processes. */
  readonly processes: {
    readonly known: number
    readonly deciding: number
    readonly lastMs: number | null
  } | null
  /** Why it is not confirmed, and what to do; `''` when it is. */
  readonly cause: string
  readonly hint: string
  /** What failed after the write; `''` when nothing did. */
  readonly warning: string
  readonly diff: readonly DiffLine[]
}

/** A line of the file that changes. */
export interface DiffLine {
  readonly kind: 'removed' | 'added'
  readonly line: string
}

/** What `POST /api/preview` answers. */
export interface PreviewAnswer {
  readonly from: number | null
  readonly to: number | null
  /**
   * Hash of the file that was looked at: sent back with the change, which is refused if the file is
   * another one.
   */
  readonly hash: string
  readonly users: number
  readonly joins: number
  readonly leaves: number
  readonly diff: readonly DiffLine[]
  /** One sentence: `1,512 of 10,000 sample users join, nobody leaves`. */
  readonly sentence: string
}
