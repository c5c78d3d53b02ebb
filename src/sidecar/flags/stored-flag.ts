import { NO_FLAG_SET } from './flag-selector.ts'
import type { JsonObject } from '../../flagfile/index.ts'
import { compactJson, compileFlag, goJson, goString } from '../../flagfile/index.ts'
import type { CompiledFlag, FlagEvaluation, FlagDefinition } from '../../flagfile/index.ts'

/** A flag in force. */
export class StoredFlag {
  readonly definition: FlagDefinition
  readonly key: string
  readonly source: string
  readonly priority: number
  readonly flagSetId: string
  #evaluate: CompiledFlag | undefined
  #text: string | undefined

  constructor(definition: FlagDefinition, source: string, priority: number) {
    this.definition = definition
    this.key = definition.key
    this.source = source
    this.priority = priority
    this.flagSetId = definition.flagSetId ?? NO_FLAG_SET
  }

  /** Compiled on first use: of thousands of flags, most are never asked for. */
  evaluate(context: JsonObject): FlagEvaluation {
    this.#evaluate ??= compileFlag(this.definition)
    return this.#evaluate(context)
  }

  /** The metadata of an answer: flagd leaves out null values. */
  metadataOf(selected: JsonObject): JsonObject {
    const own = Object.entries(this.definition.metadata).filter(([, value]) => value !== null)
    return { ...selected, ...Object.fromEntries(own) }
  }

  /** The flag as flagd's sync stream has it. Two flags that differ in it have changed. */
  get text(): string {
    return (this.#text ??= textOf(this.definition, this.source))
  }
}

function textOf(definition: FlagDefinition, source: string): string {
  const { state, defaultVariant, variants, targeting, targetingText, metadata } = definition
  const members = [
    `"state":${goString(state)}`,
    `"defaultVariant":${goString(defaultVariant)}`,
    `"variants":${variants === undefined ? 'null' : goJson(variants)}`,
  ]
  if (targeting !== undefined) {
    const rule = targetingText === undefined ? goJson(targeting) : compactJson(targetingText)
    members.push(`"targeting":${rule}`)
  }
  members.push(`"source":${goString(source)}`)
  if (Object.keys(metadata).length > 0) members.push(`"metadata":${goJson(metadata)}`)
  return `{${members.join(',')}}`
}
