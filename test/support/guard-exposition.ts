import { GuardMetrics, type GuardStatus } from '../../src/guard/index.ts'
import type { AlarmCode } from '../../src/guard/index.ts'

/** Each alarm of docs/guard.md that an alert names. */
const ALARMS: readonly AlarmCode[] = ['rollback-failed', 'regressed', 'notify', 'not-served']

/** Everything that the guard's own metrics can say. */
export function guardExposition(): string {
  const metrics = new GuardMetrics('use-redis')
  metrics.see({
    at: 1_700_000_000_000,
    flag: 'use-redis',
    dryRun: false,
    standbyFor: '',
    standbyUntil: undefined,
    phase: 'step',
    percent: 25,
    next: 50,
    awaiting: undefined,
    paused: undefined,
    reason: '',
    ended: [],
    alarms: ALARMS.map((code) => ({ code, message: code, since: 1 })),
    expected: 0.25,
    messages: { sent: 3, failed: 1 },
    plan: { steps: [25, 50], minHoldS: 60, intervalMs: 1000 },
    lateMs: 25,
    incidents: [],
    heldS: 5,
    verdict: undefined,
    sight: 'seeing',
    silent: [],
    failures: [],
    disagreements: [],
    epoch: 1,
    users: { off: 1, on: 1, logFactor: 0 },
  } satisfies GuardStatus)
  return metrics.text()
}
