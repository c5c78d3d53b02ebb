import { createHash } from 'node:crypto'
import { goJson } from './go-json.ts'
import { sameJson } from '../json.ts'
import type { JsonObject, JsonValue } from '../json.ts'

/** One flag in normal form: what flagd keeps of it after loading. */
export interface FlagDefinition {
  readonly key: string
  /** As it stands; only `DISABLED` means anything. `''` when none is given. */
  readonly state: string
  readonly variants: JsonObject | undefined
  /** `''` when there is none: the code's default then applies. */
  readonly defaultVariant: string
  /** The rule with shared rules put in. `undefined` when there is none; `null` is one that decides nothing. */
  readonly targeting: JsonValue | undefined
  /** The rule as it is written, where shared rules make that another text than flagd would write. */
  readonly targetingText?: string
  /** Of the flag set and the flag, the flag's own winning. */
  readonly metadata: JsonObject
  /** The flag set that it is in; `undefined` when it is in none. */
  readonly flagSetId: string | undefined
  /** Where it comes from: of a file, what the caller says; of a sync payload, what flagd says. */
  readonly source: string | undefined
  /** The place of its source among several; the highest wins. */
  readonly priority: number
}

const hashes = new WeakMap<FlagDefinition, string>()

/**
 * Of what decides the flag, 16 hexadecimal digits: state, variants, default variant and targeting. The
 * same for a file and for what flagd makes of it on its sync port.
 */
export function definitionHash(flag: FlagDefinition): string {
  const known = hashes.get(flag)
  if (known !== undefined) return known
  const hash = createHash('sha256').update(decidingText(flag)).digest('hex').slice(0, 16)
  hashes.set(flag, hash)
  return hash
}

/** Whether two flags answer alike, their metadata included. */
export function sameDefinition(a: FlagDefinition, b: FlagDefinition): boolean {
  if (a.state !== b.state || a.defaultVariant !== b.defaultVariant) return false
  try {
    return (
      sameJson(a.variants, b.variants) &&
      sameJson(a.targeting, b.targeting) &&
      sameJson(a.metadata, b.metadata)
    )
  } catch {
    // Nested deeper than the stack reaches.
    return false
  }
}

function decidingText({ state, variants, defaultVariant, targeting }: FlagDefinition): string {
  return goJson([
    state === 'DISABLED',
    variants ?? null,
    defaultVariant,
    targeting ?? null,
    targeting === undefined,
  ])
}
