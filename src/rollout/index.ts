/**
 * Reads, checks, previews and edits the flags file that flagd serves. An edit is a value:
 * `setShare` and the like are pure, and only `apply` (and the `change...` calls, which edit, apply
 * and confirm) write.
 */
export * from './public.ts'
export { requireSides } from './check-sides.ts'
export { changesNothing } from './edit.ts'
export { codeDefault, evaluationError } from './evaluate.ts'
export { expectationOf } from './expectation.ts'
export {
  concerns,
  editedOutside,
  type HistoryLook,
  HistoryWatch,
  type HistoryWatchOptions,
} from './history-watch.ts'
export { type JudgeOptions, judgeProcess } from './judge-process.ts'
export { lastGoodFile } from './last-good.ts'
export { notWritable } from './location.ts'
export { readText } from './read.ts'
export { findOutside, type OutsideLook, recordOutside } from './record.ts'
export { refusalIn } from './refused.ts'
export { compareServed, type ServedComparison } from './served.ts'
export { parseUsers } from './users.ts'
