/**
 * Reads, checks, previews and edits the flags file that flagd serves. An edit is a value:
 * `setShare` and the like are pure, and only `apply` (and the `change...` calls, which edit, apply
 * and confirm) write.
 */
export { apply, type Applied, type ApplyOptions, type ApplyStep } from './apply.ts'
export {
  changeBack,
  type ChangeOptions,
  changePilot,
  type ChangeResult,
  changeShare,
  changeUndo,
} from './change.ts'
export { requireSides } from './check-sides.ts'
export { closestName } from '../closest.ts'
export { confirm, type Confirmation, type ConfirmOptions } from './confirm.ts'
export {
  confirmProcesses,
  type ConfirmProcessesOptions,
  type ProcessConfirmation,
  type SeenTraffic,
} from './confirm-processes.ts'
export { describe, type Description } from './describe.ts'
export { type Bucket, explain, type Explanation } from './explain.ts'
export {
  type FlagsDocument,
  flagNames,
  type JsonPath,
  type JsonValue,
  type Position,
  readFlags,
} from './document.ts'
export {
  type Change,
  changedLines,
  changesNothing,
  type EditAction,
  type FlagsEdit,
  type Pilot,
} from './edit.ts'
export {
  type Answer,
  codeDefault,
  createEvaluator,
  evaluationError,
  type User,
  type UserContext,
} from './evaluate.ts'
export { refusalIn } from './refused.ts'
export { type Expectation, expectationOf } from './expectation.ts'
export type { Finding, FindingCode } from './findings.ts'
export {
  historyFile,
  type HistoryEntry,
  type HistoryNote,
  readHistory,
  type RecordedChange,
} from './history.ts'
export { judgeProcess, type JudgeOptions, type ProcessVerdict } from './judge-process.ts'
export {
  concerns,
  editedOutside,
  type HistoryLook,
  HistoryWatch,
  type HistoryWatchOptions,
} from './history-watch.ts'
export { type FlagsLocation, locate, notWritable } from './location.ts'
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
export { loadFlags, readText } from './read.ts'
export { lastGoodFile } from './last-good.ts'
export { findOutside, type OutsideLook, recordOutside } from './record.ts'
export { rollBack, type RollBackOptions } from './roll-back.ts'
export { compareServed, type ServedComparison } from './served.ts'
export { currentShare, setShare, type SetShareOptions } from './set-share.ts'
export { parseShare } from './share.ts'
export { undo } from './undo.ts'
export { parseUsers } from './users.ts'
export { validate, type ValidateOptions } from './validate.ts'
