import { appendFile } from 'node:fs/promises'
import type { MetricVerdict, Verdict } from './rule/index.ts'

export type AuditAction =
  | 'start'
  | 'baseline'
  | 'advance'
  | 'ask'
  | 'hold'
  | 'rollback'
  | 'yield'
  | 'resume'
  | 'finish'
  | 'alarm'
  | 'clear'
  | 'stop'

/** One decision, with the numbers behind it. */
export interface AuditEntry {
  /** ISO 8601. */
  readonly at: string
  readonly flag: string
  readonly action: AuditAction
  /** Nothing was changed: the guard only reports what it would do. */
  readonly dryRun: boolean
  readonly from: number
  readonly to: number
  readonly reason: string
  /** Milliseconds until flagd's last probe user had the change. */
  readonly servedMs?: number
  readonly confirmed?: boolean
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
  readonly designEffect: number
  readonly effectiveBuckets: number
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
    designEffect: round(metric.designEffect),
    effectiveBuckets: round(metric.effectiveBuckets),
  }
}

export function auditNumbers(verdict: Verdict | undefined): readonly AuditNumbers[] | undefined {
  return verdict?.metrics.map((metric) => numbersOf(metric))
}

/** Appends each entry as a line of JSON. */
export function fileAudit(file: string): (entry: AuditEntry) => Promise<void> {
  return (entry) => appendFile(file, `${JSON.stringify(entry)}\n`)
}
