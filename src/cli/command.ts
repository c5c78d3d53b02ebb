import type { Readable } from 'node:stream'
import { SwitchbackError } from '../errors.ts'
import type { Style } from './style.ts'

/**
 * How to add a command:
 *
 * 1. write `src/cli/commands/<name>.ts` that exports `command`:
 *
 * ```ts
 * import { type Command, exitCode } from '../command.ts'
 * import { defineCommand } from '../define.ts'
 *
 * export const command: Command = defineCommand({
 *   usage: 'sidecar [options]',
 *   summary: 'serves a flags file as flagd does',
 *   options: { port: { type: 'string', value: 'PORT', help: 'evaluation port (8013)' } },
 *   examples: [
 *     ['switchback sidecar', 'serve ./flags on the usual ports'],
 *     ['switchback sidecar --port 0', 'on a free port'],
 *   ],
 *   positionals: 0,
 *   async run({ values, stdout, signal }) {
 *     stdout.write(`port ${values.port ?? 8013}\n`)
 *     return exitCode.done
 *   },
 * })
 * ```
 *
 * 2. add its line to the table in `src/cli/commands.ts` (the module is loaded only when it runs).
 *
 * Throw `usageError(what, remedy)` for a wrong command line (exit 2) and any `SwitchbackError` for a
 * refusal (exit 1, or 2 for the codes of bad input in `bad-input.ts`; message and hint on stderr; with a `json` option also as JSON on stdout).
 *
 * A command that runs until it is told to stop awaits `signal`; the first Ctrl-C or SIGTERM aborts it,
 * the second ends the process.
 */
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

/** What a command may touch of the process; nothing else. */
export interface CommandIo {
  readonly env: Environment
  readonly stdin: Readable
  readonly stdout: Output
  readonly stderr: Output
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** Colours for stdout; plain when it is no terminal, `NO_COLOR` is set or `--json` was given. */
  readonly style: Style
}

export type Environment = Readonly<Record<string, string | undefined>>

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
  /** What stands for the value in the help, e.g. `PORT`. */
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
