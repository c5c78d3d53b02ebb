/**
 * The control page: one page that shows both sides and the split, changes it and rolls it back, and
 * the API behind it, on its own listener. It uses the flags file, the metrics and the guard, and
 * never touches cached data.
 */
export * from './public.ts'
export { isLoopback } from './server/protection.ts'
export type {
  ChangeAnswer,
  ControlHistory,
  ControlInfo,
  ControlSeries,
  ControlState,
  PreviewAnswer,
} from './state/state.ts'
