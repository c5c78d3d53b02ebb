import { basename, resolve } from 'node:path'
import { OpenFeatureEventEmitter, ProviderEvents } from '@openfeature/server-sdk'
import type {
  EvaluationContext,
  JsonValue,
  Provider,
  ResolutionDetails,
} from '@openfeature/server-sdk'
import { isSwitchbackError } from '../../errors.ts'
import { FileWatch, readFlagsFile } from '../../flagfile/index.ts'
import type { ConfigurationState } from './configuration.ts'
import { safely } from '../flags-event.ts'
import type { OnFlagsEvent } from '../flags-event.ts'
import { LoadedFlags } from './loaded-flags.ts'

export interface FileProviderOptions {
  /** A flags file as flagd reads it: JSON, or YAML when its name ends so. */
  readonly path: string
  /** Called with content that was refused. @default warnings go to console.warn */
  readonly onEvent?: OnFlagsEvent
}

const SETTLE_MS = 50

/** Those that a provider has read. */
export let flagsOf: (provider: FileProvider) => LoadedFlags

/**
 * An OpenFeature provider for a flags file, without a flagd: flagd's answers, and a file watch that
 * sees a change at once. Content that flagd would refuse changes nothing: the last good flags stay,
 * and the status is STALE until the file is fixed.
 */
export class FileProvider implements Provider {
  readonly metadata: { readonly name: string } = { name: 'flags-file' }
  readonly runsOn = 'server'
  readonly events: OpenFeatureEventEmitter = new OpenFeatureEventEmitter()
  readonly #path: string
  readonly #onEvent: OnFlagsEvent
  readonly #watch: FileWatch
  readonly #flags = new LoadedFlags()
  #problem: Error | undefined
  /** When the first refused content was read; it may have been read while it was being written. */
  #doubtfulSince: number | undefined
  #closed = false

  static {
    flagsOf = (provider) => provider.#flags
  }

  constructor(options: FileProviderOptions) {
    this.#path = resolve(options.path)
    this.#onEvent = safely(options.onEvent)
    this.#watch = new FileWatch({ path: this.#path, onChange: () => this.#load() })
  }

  /** Rejects when the file cannot be used now; it is used as soon as it can. */
  async initialize(): Promise<void> {
    await this.#watch.check()
    if (this.#problem !== undefined) throw this.#problem
  }

  async onClose(): Promise<void> {
    this.#closed = true
    this.#watch.close()
  }

  async resolveBooleanEvaluation(
    flag: string,
    value: boolean,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>> {
    return this.#flags.resolve('boolean', flag, value, context)
  }

  async resolveStringEvaluation(
    flag: string,
    value: string,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<string>> {
    return this.#flags.resolve('string', flag, value, context)
  }

  async resolveNumberEvaluation(
    flag: string,
    value: number,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<number>> {
    return this.#flags.resolve('number', flag, value, context)
  }

  async resolveObjectEvaluation<T extends JsonValue>(
    flag: string,
    value: T,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<T>> {
    return this.#flags.resolve('object', flag, value, context)
  }

  /** What is in force, and whether the file's latest content is. */
  configuration(): ConfigurationState {
    return this.#flags.configuration()
  }

  /** Never rejects. */
  async #load(): Promise<void> {
    const before = this.#problem
    try {
      const content = await readFlagsFile(this.#path)
      if (this.#closed) return
      const first = !this.#flags.loaded
      const changed = this.#flags.take(content, basename(this.#path))
      this.#doubtfulSince = undefined
      this.#problem = undefined
      if (before !== undefined) this.events.emit(ProviderEvents.Ready)
      if (!first && changed.length > 0) {
        this.events.emit(ProviderEvents.ConfigurationChanged, { flagsChanged: changed })
      }
    } catch (error) {
      if (this.#closed || this.#looksAgain()) return
      const problem = problemOf(error, this.#path)
      this.#problem = problem
      this.#flags.refuse(problem.message)
      if (before?.message === problem.message) return
      const kept = this.#flags.loaded ? 'the last good flags stay' : 'there are no flags yet'
      this.#onEvent({ level: 'warn', message: `flags file: ${problem.message}; ${kept}` })
      if (this.#flags.loaded) this.events.emit(ProviderEvents.Stale, { message: problem.message })
    }
  }

  /** An editor that saves in place leaves the file empty for a moment, which needs no warning. */
  #looksAgain(): boolean {
    if (!this.#flags.loaded || this.#problem !== undefined) return false
    const now = performance.now()
    if (this.#doubtfulSince === undefined) {
      this.#doubtfulSince = now
      setTimeout(() => void this.#watch.check(), SETTLE_MS + 10).unref()
    }
    return now - this.#doubtfulSince < SETTLE_MS
  }
}

function problemOf(error: unknown, path: string): Error {
  if (isSwitchbackError(error)) return error
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return new Error(`the file "${path}" does not exist`)
  return new Error(`"${path}" cannot be read (${code ?? message})`)
}
