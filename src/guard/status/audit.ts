import { appendFile } from 'node:fs/promises'
import type { AlarmCode } from './alarms.ts'
import type { MetricVerdict, Verdict } from '../rule/index.ts'

export type AuditAction =
  | 'start'
  | 'baseline'
  | 'advance'
  | 'ask'
  | 'hold'
  | 'rollback'
  | 'yield'
  | 'epoch'
  | 'plan'
  | 'incident'
  | 'finish'
  | 'alarm'
  | 'clear'
  | 'page'
  | 'pause'
  | 'stop'

/** One decision, with the numbers behind it. */
export interface AuditEntry {
  /** ISO 8601. */
  readonly at: string
  /** The guard's name, in its file. */
  readonly who?: string
  readonly flag: string
  readonly action: AuditAction
  /** Nothing was changed: the guard only reports what it would do. */
  readonly dryRun: boolean
  readonly from: number
  readonly to: number
  readonly reason: string
  /** Of an alarm that begins or ends, and when it began. */
  readonly alarm?: AlarmCode
  readonly since?: string
  /** Milliseconds until flagd's last probe user had the change. */
  readonly servedMs?: number
  readonly confirmed?: boolean
  /** Which attempt this is; each resume begins one. */
  readonly epoch?: number
  readonly numbers?: readonly AuditNumbers[]
}

/** Evidence as natural logarithms, beside their thresholds. */
export interface AuditNumbers {
  readonly metric: string
  readonly on: string
  readonly off: string
  readonly harm: number
  readonly harmThreshold: number
  readonly safety?: number
  readonly safetyThreshold?: number
  /** By how much errors cluster, over users and in time. */
  readonly userEffect: number
  readonly timeEffect: number
  /** Errors on the new side as if each slot full of them were one; and its operations weigh 4^-scale. */
  readonly effectiveSlots: number
  readonly scale: number
  readonly effectiveBuckets: number
  /** Seconds until the next step is proven, at the present rates; left out when never. */
  readonly estimateS?: number
  /** The replica with most of the errors, and its share of them. */
  readonly worst?: { readonly replica: string; readonly share: number }
}

/** JSON has no infinity. */
function round(value: number): number {
  return Math.round(Math.max(-1e6, Math.min(1e6, value)) * 1000) / 1000
}

function numbersOf(metric: MetricVerdict): AuditNumbers {
  const { harm, safety } = metric
  const part = metric.regressed ? harm : metric
  return {
    metric: metric.id,
    on: `${part.treatment.bad} of ${part.treatment.total}`,
    off: `${part.control.bad} of ${part.control.total}`,
    harm: round(harm.logEvidence),
    harmThreshold: round(harm.logThreshold),
    ...(safety === undefined
      ? {}
      : { safety: round(safety.logEvidence), safetyThreshold: round(safety.logThreshold) }),
    userEffect: round(metric.userEffect),
    timeEffect: round(metric.timeEffect),
    effectiveSlots: round(metric.effectiveSlots),
    scale: metric.scale,
    effectiveBuckets: round(metric.effectiveBuckets),
    ...(metric.waits?.seconds === undefined ? {} : { estimateS: round(metric.waits.seconds) }),
    ...(metric.worst === undefined
      ? {}
      : { worst: { replica: metric.worst.replica, share: round(metric.worst.share) } }),
  }
}

export function auditNumbers(verdict: Verdict | undefined): readonly AuditNumbers[] | undefined {
  return verdict?.metrics.map((metric) => numbersOf(metric))
}

/** Appends each entry as a line of JSON. */
export function fileAudit(file: string): (entry: AuditEntry) => Promise<void> {
  return (entry) => appendFile(file, `${JSON.stringify(entry)}\n`)
}
