/**
 * Reads, checks, previews and edits the flags file that flagd serves. An edit is a value: `setShare` and the
 * like are pure; only `apply` and the `change...` calls, which edit, apply and confirm, write.
 *
 * @packageDocumentation
 */
export type { ProcessesOptions, Resolve } from '../scrape/index.ts'
export { apply, type Applied, type ApplyOptions, type ApplyStep } from './apply.ts'
export {
  changeBack,
  type ChangeOptions,
  changePilot,
  type ChangeResult,
  changeShare,
  changeUndo,
} from './change.ts'
export { confirm, type Confirmation, type ConfirmOptions } from './confirm.ts'
export {
  confirmProcesses,
  type ConfirmProcessesOptions,
  type ProcessConfirmation,
  type SeenTraffic,
} from './confirm-processes.ts'
export { describe, type Description } from './describe.ts'
export {
  type FlagsDocument,
  flagNames,
  type JsonPath,
  type JsonValue,
  type Position,
  readFlags,
} from './document.ts'
export { type Change, changedLines, type EditAction, type FlagsEdit, type Pilot } from './edit.ts'
export { type Answer, createEvaluator, type User, type UserContext } from './evaluate.ts'
export { type Bucket, explain, type Explanation } from './explain.ts'
export type { Finding, FindingCode } from './findings.ts'
export {
  historyFile,
  type HistoryEntry,
  type HistoryNote,
  readHistory,
  type RecordedChange,
} from './history.ts'
export type { ProcessVerdict } from './judge-process.ts'
export { type FlagsLocation, locate } from './location.ts'
export {
  createOfrepClient,
  defaultFlagdUrl,
  type OfrepClient,
  parseFlagdUrl,
  type Served,
} from './ofrep.ts'
export { addPilot, pilotsOf, removePilot } from './pilot.ts'
export { type Moved, preview, type Preview, type PreviewOptions } from './preview.ts'
export { findProbes, type Probe, type Probes } from './probes.ts'
export { loadFlags } from './read.ts'
export { rollBack, type RollBackOptions } from './roll-back.ts'
export { currentShare, setShare, type SetShareOptions } from './set-share.ts'
export { parseShare } from './share.ts'
export { undo } from './undo.ts'
export { validate, type ValidateOptions } from './validate.ts'
export type { JsonNode } from './document.ts'
export type { LineChange } from './edit.ts'
export type { Expectation } from './expectation.ts'
export type { ConditionStep, DecidingLine, RuleLine } from './explain.ts'
export type { FileLock } from './lock.ts'
export type { OfrepOptions } from './ofrep.ts'
export type { PilotOptions } from './pilot.ts'
export type { ProbeSearch } from './probes.ts'
export type { ReadOptions } from './read.ts'
export type { Segment, Shape } from './shape.ts'
export type { Thousandths } from './share.ts'
export type { Split, SplitEntry } from './split.ts'
