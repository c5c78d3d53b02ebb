import { compareTexts } from '../json.ts'
import type { JsonObject } from '../json.ts'
import type { FlagDefinition } from './flag-definition.ts'

/** The flags of one source, or of several. */
export interface FlagSet {
  /** The flag that answers for a key. */
  readonly flags: ReadonlyMap<string, FlagDefinition>
  /** Every flag: a key can stand in more than one flag set. Ordered by flag set, then by key. */
  readonly all: readonly FlagDefinition[]
  /** Of the set. */
  readonly metadata: JsonObject
}

export const NO_FLAGS: FlagSet = { flags: new Map(), all: [], metadata: {} }

/** Of two flags with the same key in the same flag set, the later one counts. */
export function flagSetOf(definitions: Iterable<FlagDefinition>, metadata: JsonObject): FlagSet {
  const unique = new Map<string, FlagDefinition>()
  for (const flag of definitions) {
    const id = flag.flagSetId === undefined ? `-${flag.key}` : `+${flag.flagSetId}\0${flag.key}`
    unique.set(id, flag)
  }
  const all = [...unique.values()].sort(
    (a, b) => compareTexts(a.flagSetId ?? '', b.flagSetId ?? '') || compareTexts(a.key, b.key),
  )
  const flags = new Map<string, FlagDefinition>()
  for (const flag of all) {
    const other = flags.get(flag.key)
    if (other === undefined || flag.priority >= other.priority) flags.set(flag.key, flag)
  }
  return { flags, all, metadata }
}

/** Several sources as one; of two that define the same flag, the later one counts. */
export function mergeFlagSets(parts: readonly FlagSet[]): FlagSet {
  const definitions = parts.flatMap(({ all }, priority) =>
    all.map((flag) => ({ ...flag, priority })),
  )
  const metadata = Object.fromEntries(parts.flatMap((part) => Object.entries(part.metadata)))
  return flagSetOf(definitions, metadata)
}
