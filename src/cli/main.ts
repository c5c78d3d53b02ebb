import type { Readable } from 'node:stream'
import { inspect } from 'node:util'
import { closestName } from '../closest.ts'
import { isSwitchbackError, quote, type SwitchbackError } from '../errors.ts'
import { isBadInput } from './framework/bad-input.ts'
import { type Environment, exitCode, type Output, usageError } from './framework/command.ts'
import { commands } from './commands.ts'
import { overview } from './framework/help.ts'
import { createStyle, wantsColor } from './framework/style.ts'
import { version } from './framework/version.ts'

/** All that the command line uses of the process; tests and other programs pass their own. */
export interface MainOptions {
  /** What follows `switchback`. */
  readonly argv: readonly string[]
  readonly env: Environment
  readonly stdin: Readable
  readonly stdout: Output
  readonly stderr: Output
  /** Aborted when the command is to stop, with an `Error` whose message is the name of the signal. */
  readonly signal: AbortSignal
}

/** Runs one command line; resolves to its exit code and never rejects. */
export async function main(options: MainOptions): Promise<number> {
  const { argv, env, stdout, stderr } = options
  const style = createStyle(wantsColor(stdout.isTTY, env))
  const [name, ...rest] = argv
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const asked = name === 'help' ? rest[0] : undefined
    if (asked !== undefined) return main({ ...options, argv: [asked, '--help'] })
    ;(name === undefined ? stderr : stdout).write(overview(groups(), style))
    return name === undefined ? exitCode.usage : exitCode.done
  }
  if (name === '--version' || name === '-v') {
    stdout.write(`${await version()}\n`)
    return exitCode.done
  }
  try {
    const entry = Object.hasOwn(commands, name) ? commands[name] : undefined
    if (entry === undefined) throw unknownCommand(name)
    const { command } = await entry.load()
    return await command.execute(rest, { ...options, style })
  } catch (error) {
    return report(error, options)
  }
}

function unknownCommand(name: string): SwitchbackError {
  const near = closestName(name, Object.keys(commands))
  return usageError(
    `unknown command ${quote(name)}`,
    near === undefined ? 'see switchback --help' : `did you mean ${quote(near)}?`,
  )
}

/** `error: what`, then what to do; a stack only for a defect of ours, or with SWITCHBACK_DEBUG. */
function report(error: unknown, { env, stderr, signal }: MainOptions): number {
  const style = createStyle(wantsColor(stderr.isTTY, env))
  if (isSwitchbackError(error)) {
    const usage = error.code === 'SB_USAGE'
    const hint = error.hint === undefined ? '' : `${usage ? ': ' : '\n  '}${error.hint}`
    const label = error.code === 'SB_INTERRUPTED' ? '' : `${style.red('error:')} `
    stderr.write(`${label}${error.message}${hint}\n`)
    if (env['SWITCHBACK_DEBUG']) stderr.write(`${inspect(error)}\n`)
    if (error.code === 'SB_INTERRUPTED') return interrupted(signal)
    return isBadInput(error.code) ? exitCode.usage : exitCode.refused
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  stderr.write(`${style.red('error:')} this is a bug in switchback, please report it:\n${stack}\n`)
  return exitCode.refused
}

/** As in shells: 128 and the number of the signal. */
function interrupted({ reason }: AbortSignal): number {
  return reason instanceof Error && reason.message === 'SIGTERM' ? 143 : 130
}

function groups(): [string, [string, string][]][] {
  const byGroup = new Map<string, [string, string][]>()
  for (const [name, { group, summary }] of Object.entries(commands)) {
    const rows = byGroup.get(group) ?? []
    rows.push([name, summary])
    byGroup.set(group, rows)
  }
  return [...byGroup]
}
