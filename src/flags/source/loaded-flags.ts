import {
  ErrorCode,
  ProviderNotReadyError,
  StandardResolutionReasons,
} from '@openfeature/server-sdk'
import type {
  EvaluationContext,
  FlagMetadata,
  FlagValueType,
  JsonValue,
  ResolutionDetails,
} from '@openfeature/server-sdk'
import {
  compileFlag,
  definitionHash,
  isObject,
  readFlagSet,
  sameDefinition,
} from '../../flagfile/index.ts'
import type { CompiledFlag, FlagDefinition, FlagSet } from '../../flagfile/index.ts'
import type { ConfigurationState } from './configuration.ts'

interface Ready {
  readonly evaluate: CompiledFlag
  readonly flagMetadata: FlagMetadata | undefined
}

/**
 * The flags in force in this process, from any source. Each is compiled on first use: an
 * application uses a few of the thousands that a flagd may serve.
 */
export class LoadedFlags {
  #set: FlagSet | undefined
  readonly #ready = new Map<string, Ready>()
  #since: number | undefined
  #refused: { readonly reason: string; readonly since: number } | undefined

  /** Whether there are flags. */
  get loaded(): boolean {
    return this.#set !== undefined
  }

  /**
   * Puts other flags in force.
   *
   * @param name what to call them in an error
   * @returns keys of the flags that came, went or changed
   * @throws SwitchbackError `SB_FLAGS_INVALID`, `SB_FLAGS_TOO_LARGE`; the flags then stay as they were
   */
  take(content: string | Uint8Array, name: string): string[] {
    const before = this.#set
    const now = readFlagSet(content, name)
    const changed: string[] = []
    for (const [key, flag] of now.flags) {
      const known = before?.flags.get(key)
      if (known === undefined || !sameDefinition(known, flag)) changed.push(key)
    }
    for (const key of before?.flags.keys() ?? []) if (!now.flags.has(key)) changed.push(key)
    for (const key of changed) this.#ready.delete(key)
    this.#set = now
    this.#refused = undefined
    if (before === undefined || changed.length > 0) this.#since = Date.now()
    return changed
  }

  /** Why the latest flags are not in force. */
  refuse(reason: string): void {
    this.#refused = { reason, since: this.#refused?.since ?? Date.now() }
  }

  configuration(): ConfigurationState {
    return {
      since: this.#since,
      refused: this.#refused,
      hashOf: (key) => {
        const flag = this.#set?.flags.get(key)
        return flag === undefined ? undefined : definitionHash(flag)
      },
    }
  }

  /** @throws ProviderNotReadyError while there are no flags */
  resolve<T extends JsonValue>(
    type: FlagValueType,
    key: string,
    fallback: T,
    context: EvaluationContext,
  ): ResolutionDetails<T> {
    const ready = this.#ready.get(key) ?? this.#make(key)
    if (ready === undefined)
      return failed(fallback, ErrorCode.FLAG_NOT_FOUND, 'the flag does not exist')
    const { evaluate, flagMetadata } = ready
    const { reason, variant, value, errorCode } = evaluate(context)
    const metadata = flagMetadata === undefined ? {} : { flagMetadata }
    if (errorCode !== '') {
      const message = errorCode === 'GENERAL' ? NO_VARIANT : CANNOT_EVALUATE
      return { ...failed(fallback, errorCode as ErrorCode, message), ...metadata }
    }
    if (value === undefined) {
      const told = reason === 'DISABLED' ? reason : StandardResolutionReasons.DEFAULT
      return { value: fallback, reason: told, ...metadata }
    }
    const fits = type === 'object' ? isObject(value) : typeof value === type
    if (!fits) {
      const message = `the value of the variant is not a ${type}`
      return { ...failed(fallback, ErrorCode.TYPE_MISMATCH, message), variant, ...metadata }
    }
    return { value: value as T, variant, reason, ...metadata }
  }

  #make(key: string): Ready | undefined {
    if (this.#set === undefined) {
      throw new ProviderNotReadyError(this.#refused?.reason ?? 'there are no flags yet')
    }
    const flag = this.#set.flags.get(key)
    if (flag === undefined) return undefined
    const ready = { evaluate: compileFlag(flag), flagMetadata: metadataOf(flag) }
    this.#ready.set(key, ready)
    return ready
  }
}

const NO_VARIANT = 'the rule gives a variant that the flag does not have'
const CANNOT_EVALUATE = 'the rule cannot be evaluated for this context'

function failed<T>(value: T, errorCode: ErrorCode, errorMessage: string): ResolutionDetails<T> {
  return { value, reason: StandardResolutionReasons.ERROR, errorCode, errorMessage }
}

/** OpenFeature's metadata cannot hold null, and flagd sends none. */
function metadataOf({ metadata }: FlagDefinition): FlagMetadata | undefined {
  const entries = Object.entries(metadata).filter(([, value]) => value !== null)
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as FlagMetadata)
}
