/*
 * The one reading of flagd's format: what a flags file, a sync payload and a rule mean, as flagd 0.16
 * takes them. Nothing else in the project knows.
 */
export { compileFlag } from './compile-flag.ts'
export type { CompiledFlag, Evaluation } from './compile-flag.ts'
export { decodeFlags } from './decode.ts'
export { FileWatch, filesOf } from './file-watch.ts'
export type { FileWatchOptions } from './file-watch.ts'
export { definitionHash, sameDefinition } from './flag-definition.ts'
export type { FlagDefinition } from './flag-definition.ts'
export { NO_FLAGS, flagSetOf, mergeFlagSets } from './flag-set.ts'
export type { FlagSet } from './flag-set.ts'
export { bucketOf } from './fractional.ts'
export { compareTexts, goText, isList, isObject, sameJson } from './json.ts'
export type { JsonObject, JsonValue } from './json.ts'
export { murmur3 } from './murmur3.ts'
export { valueOfRule } from './part-of-rule.ts'
export { isProbeUser, probeUsers } from './probe-users.ts'
export { readFlagSet } from './read-flag-set.ts'
export { readsTime } from './reads-time.ts'
export type { DroppedFlag, ReadFlagSetOptions } from './read-flag-set.ts'
export { MAX_FLAGS_BYTES, excessOf, readFlagsFile, tooLarge } from './bounds.ts'
export type { Excess, Limits } from './bounds.ts'
