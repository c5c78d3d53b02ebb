/**
 * Reads, checks, previews and edits the flags file that flagd serves. An edit is a value: `setShare` and the
 * like are pure; only `apply` and the `change...` calls, which edit, apply and confirm, write.
 *
 * @packageDocumentation
 */
export type { ProcessesOptions, Resolve } from '../scrape/index.ts'
export { apply, type Applied, type ApplyOptions, type ApplyStep } from './file/apply.ts'
export {
  changeBack,
  type ChangeOptions,
  changePilot,
  type ChangeResult,
  changeShare,
  changeUndo,
} from './change.ts'
export { confirm, type Confirmation, type ConfirmOptions } from './confirm/confirm.ts'
export {
  confirmProcesses,
  type ConfirmProcessesOptions,
  type ProcessConfirmation,
  type SeenTraffic,
} from './confirm/confirm-processes.ts'
export { describe, type Description } from './split/describe.ts'
export {
  type FlagsDocument,
  type JsonPath,
  type JsonValue,
  type Position,
  readFlags,
} from './file/document.ts'
export { flagNames } from './file/flag-members.ts'
export {
  type Change,
  changedLines,
  type EditAction,
  type FlagsEdit,
  type Pilot,
} from './file/edit.ts'
export { type Answer, createEvaluator, type User, type UserContext } from './users/evaluate.ts'
export { type Bucket, explain, type Explanation } from './users/explain.ts'
export type { Finding, FindingCode } from './check/findings.ts'
export {
  historyFile,
  type HistoryEntry,
  type HistoryNote,
  readHistory,
  type RecordedChange,
} from './history/history.ts'
export type { ProcessVerdict } from './confirm/judge-process.ts'
export { type FlagsLocation, locate } from './file/location.ts'
export {
  createOfrepClient,
  defaultFlagdUrl,
  type OfrepClient,
  parseFlagdUrl,
  type Served,
} from './confirm/ofrep-client.ts'
export { addPilot, pilotsOf, removePilot } from './edits/pilot.ts'
export { type Moved, preview, type Preview, type PreviewOptions } from './users/preview.ts'
export { findProbes, type Probe, type Probes } from './users/probes.ts'
export type { FlagsFile, FlagsPlace, OutsideFound, WriteOptions } from './place/place.ts'
export { loadFlags } from './file/read.ts'
export { rollBack, type RollBackOptions } from './edits/roll-back.ts'
export { currentShare, setShare, type SetShareOptions } from './edits/set-share.ts'
export { parseShare } from './split/share.ts'
export { undo } from './edits/undo.ts'
export { validate, type ValidateOptions } from './check/validate.ts'
export type { JsonNode } from './file/document.ts'
export type { LineChange } from './file/edit.ts'
export type { Expectation } from './users/expectation.ts'
export type { ConditionStep, DecidingLine, RuleLine } from './users/explain.ts'
export type { FileLock } from './file/lock.ts'
export type { OfrepOptions } from './confirm/ofrep-client.ts'
export type { PilotOptions } from './edits/pilot.ts'
export type { ProbeSearch } from './users/probes.ts'
export type { ReadOptions } from './file/read.ts'
export type { Segment, Shape } from './split/shape.ts'
export type { Thousandths } from './split/share.ts'
export type { Split, SplitEntry } from './split/split.ts'
