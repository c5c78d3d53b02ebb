/**
 * The control page: one page that shows both sides and the split, changes it and rolls it back, and the API
 * behind it, on a listener of its own.
 *
 * @packageDocumentation
 */
export type { GuardView } from './guard-view.ts'
export type { AuditLine } from './audit-line.ts'
export { type Control, type ControlOptions, startControl } from './start-control.ts'
export type {
  BadOfTotal,
  Evidence,
  GuardMetric,
  GuardOrder,
  GuardPlan,
  GuardReading,
  SinceHarm,
} from './guard-view.ts'
