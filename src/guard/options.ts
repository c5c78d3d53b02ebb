import type { Actuator } from './act/actuator.ts'
import type { AuditEntry } from './status/audit.ts'
import type { Lease } from './act/lease.ts'
import type { Notifier } from './notify/notifier.ts'
import type { Plan } from './plan/plan.ts'
import type { MetricsSource } from './samples/metrics-source.ts'
import type { GuardStatus } from './status/status.ts'
import type { StateStore } from './act/state-store.ts'

export interface GuardOptions {
  readonly flag: string
  readonly plan: Plan
  readonly source: MetricsSource
  readonly actuator: Actuator
  readonly store: StateStore
  readonly lease: Lease
  /** Receives every decision. A rejection stops nothing. */
  readonly audit: (entry: AuditEntry) => void | Promise<void>
  /** Tells people of decisions and alarms. @default nobody is told */
  readonly notifier?: Notifier
  /** Hears what it thinks after each poll in which it acts. A rejection stops nothing. */
  readonly publish?: (status: GuardStatus) => void | Promise<void>
  /** Says what it would do and does nothing. @default false */
  readonly dryRun?: boolean
  /**
   * Goes on after a rollback or after it yielded, from the share that is served and with evidence that
   * begins at nothing. @default false
   */
  readonly resume?: boolean
  /** Begins a resumed rollout at this step of the plan, in per cent. @default its first */
  readonly from?: number
  /** Resumes though a replica cannot reach the new side. @default false */
  readonly force?: boolean
  /** Forgets all that was known, where the rollout stood too. @default false */
  readonly forget?: boolean
  /** Epoch milliseconds. @default Date.now */
  readonly now?: () => number
}
