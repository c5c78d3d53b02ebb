import type { FlagdCore } from '@openfeature/flagd-core'
import type { Logger } from '@openfeature/server-sdk'
import { flagParts, type FlagParts } from './flags-document.ts'

/** Makes an evaluator without flags. */
export type MakeCore = () => FlagdCore

/**
 * The flags of a file, each compiled when somebody asks for it: an application asks for a few, and to
 * compile a thousand at every save would hold it up for a tenth of a second.
 */
export class FileFlags {
  readonly #makeCore: MakeCore
  readonly #compiled = new Map<string, FlagdCore>()
  #parts: FlagParts = { flags: new Map(), metadata: '{}' }
  #none: FlagdCore

  constructor(makeCore: MakeCore) {
    this.#makeCore = makeCore
    this.#none = this.#compile('{}')
  }

  /**
   * @param name what to call the file in an error
   * @returns keys of the flags that came, went or changed
   * @throws SwitchbackError `SB_FLAGS_INVALID`; the flags then stay as they were
   */
  replace(text: string, name: string): string[] {
    const before = this.#parts
    const now = flagParts(text, name)
    const same = (key: string): boolean =>
      now.metadata === before.metadata && now.flags.get(key) === before.flags.get(key)
    const keys = new Set([...now.flags.keys(), ...before.flags.keys()])
    const changed = [...keys].filter((key) => !same(key))
    for (const key of changed) this.#compiled.delete(key)
    this.#parts = now
    if (now.metadata !== before.metadata) this.#none = this.#compile('{}')
    return changed
  }

  /** The evaluator that knows this flag, or none when the file has no such flag. */
  evaluatorOf(key: string): FlagdCore {
    const known = this.#compiled.get(key)
    if (known !== undefined) return known
    const definition = this.#parts.flags.get(key)
    if (definition === undefined) return this.#none
    const core = this.#compile(`{${JSON.stringify(key)}:${definition}}`)
    this.#compiled.set(key, core)
    return core
  }

  #compile(flags: string): FlagdCore {
    const core = this.#makeCore()
    core.setConfigurations(`{"flags":${flags},"metadata":${this.#parts.metadata}}`)
    return core
  }
}

/** With the logger of whoever reads the file. */
export async function createFileFlags(logger: Logger): Promise<FileFlags> {
  const { FlagdCore } = await import('@openfeature/flagd-core')
  return new FileFlags(() => new FlagdCore(undefined, logger))
}
