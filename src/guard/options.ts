import type { Actuator } from './actuator.ts'
import type { AuditEntry } from './audit.ts'
import type { Lease } from './lease.ts'
import type { Plan } from './plan/plan.ts'
import type { MetricsSource } from './samples/source.ts'
import type { StateStore } from './store.ts'

export interface GuardOptions {
  readonly flag: string
  readonly plan: Plan
  readonly source: MetricsSource
  readonly actuator: Actuator
  readonly store: StateStore
  readonly lease: Lease
  /** Receives every decision. A rejection stops nothing. */
  readonly audit: (entry: AuditEntry) => void | Promise<void>
  /** Reports what it would do, without doing it. @default false */
  readonly dryRun?: boolean
  /**
   * Continues after a rollback or after it yielded, from the share that is served. @default false
   */
  readonly resume?: boolean
  /** Epoch milliseconds. @default Date.now */
  readonly now?: () => number
}
