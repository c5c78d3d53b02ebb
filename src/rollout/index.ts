/**
 * Reads, checks, previews and edits the flags file that flagd serves. An edit is a value:
 * `setShare` and the like are pure, and only `apply` (and the `change...` calls, which edit, apply
 * and confirm) write.
 */
export * from './public.ts'
export { changedByOthers, troubleOf } from './place/place.ts'
export { requireSides } from './check/check-sides.ts'
export { changesNothing, editText, inline, whyDisabled } from './file/edit.ts'
export { codeDefault, evaluationError } from './users/evaluate.ts'
export { expectationOf } from './users/expectation.ts'
export {
  concerns,
  editedOutside,
  type HistoryLook,
  HistoryWatch,
  type HistoryWatchOptions,
} from './history/history-watch.ts'
export { askIfThere } from './confirm/confirm.ts'
export { type JudgeOptions, judgeProcess } from './confirm/judge-process.ts'
export { entryOf, linesOf } from './history/record.ts'
export { parseHistory } from './history/history.ts'
export { flagsOf } from './file/flag-members.ts'
export { operandCounts } from './check/check-operator.ts'
export { hashOf } from './file/document.ts'
export { lastGoodFile } from './file/last-good.ts'
export { whyFailing } from './edits/not-back.ts'
export { behindLinks, requireWritable } from './file/location.ts'
export { readText, requireFlag } from './file/read.ts'
export { findOutside, type OutsideLook, recordOutside } from './history/record.ts'
export { refusalIn } from './file/refused.ts'
export { compareServed, type ServedComparison } from './confirm/served.ts'
export { parseUsers } from './users/parse-users.ts'
