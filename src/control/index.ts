/**
 * The control page: one page that shows both sides and the split, moves it and takes it back, and the
 * API behind it, on a listener of its own. It knows the flags file, the metrics and the guard; cached
 * data it never touches.
 */
export type {
  BadOfTotal,
  Evidence,
  GuardMetric,
  GuardPlan,
  GuardReading,
  GuardView,
} from './guard-view.ts'
export type { AuditLine } from './server/audit.ts'
export { isLoopback } from './server/protection.ts'
export { type Control, type ControlOptions, startControl } from './start-control.ts'
export type {
  ChangeAnswer,
  ControlHistory,
  ControlInfo,
  ControlSeries,
  ControlState,
  PreviewAnswer,
} from './state.ts'
