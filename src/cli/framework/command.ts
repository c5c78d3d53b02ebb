import type { Readable } from 'node:stream'
import { SwitchbackError } from '../../errors.ts'
import type { Environment } from '../../flags/index.ts'
import type { Style } from './style.ts'

/** One command of `switchback`. CONTRIBUTING.md says how to add one. */
export interface Command {
  /** What follows `switchback` on the first line of its help. */
  readonly usage: string
  /** One line, lower case, no full stop. */
  readonly summary: string
  /** Paragraphs under the usage line. */
  readonly details?: string
  readonly options: OptionTable
  /** Two examples or more: the command line and what it does. */
  readonly examples: readonly (readonly [commandLine: string, what: string])[]
  /** Parses `argv` (what follows the command's name) and runs; resolves to the exit code. */
  execute(argv: readonly string[], io: CommandIo): Promise<number>
}

/** The parts of the process that a command may use. */
export interface CommandIo {
  readonly env: Environment
  readonly stdin: Readable
  readonly stdout: Output
  readonly stderr: Output
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /**
   * Colours for stdout; plain when it is not a terminal, `NO_COLOR` is set or `--json` was given.
   */
  readonly style: Style
}

export type { Environment }

/** The part of a writable stream that commands use. */
export interface Output {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** 0 done, 1 refused or found wrong, 2 bad input, 3 not confirmed in time; 130, 143 interrupted. */
export const exitCode: ExitCodes = { done: 0, refused: 1, usage: 2, unconfirmed: 3 }

export interface ExitCodes {
  readonly done: 0
  readonly refused: 1
  readonly usage: 2
  readonly unconfirmed: 3
}

export interface OptionSpec {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  readonly multiple?: boolean
  /** The placeholder of the value in the help, e.g. `PORT`. */
  readonly value?: string
  readonly help: string
}

export type OptionTable = Readonly<Record<string, OptionSpec>>

/** The parsed options: booleans are `false` and lists empty when not given. */
export type OptionValues<T extends OptionTable> = {
  readonly [K in keyof T]: T[K] extends { readonly type: 'boolean' }
    ? boolean
    : T[K] extends { readonly multiple: true }
      ? readonly string[]
      : string | undefined
}

/** What a command's `run` receives. */
export interface Invocation<T extends OptionTable> extends CommandIo {
  readonly values: OptionValues<T>
  readonly positionals: readonly string[]
}

/** A wrong command line: one sentence that names the input, and the remedy. Exit code 2. */
export function usageError(message: string, hint: string): SwitchbackError {
  return new SwitchbackError('SB_USAGE', message, { hint })
}
