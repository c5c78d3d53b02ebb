import { createInterface } from 'node:readline'
import {
  changedLines,
  type ChangeOptions,
  type ChangeResult,
  changesNothing,
  type FlagsEdit,
  preview,
  type Preview,
  type ProcessConfirmation,
  whyDisabled,
} from '../../rollout/index.ts'
import { type CommandIo, exitCode, usageError } from '../framework/command.ts'
import { count, createRows, percent, printJson } from '../framework/format.ts'
import { newSideWarning, outcomeLines } from './outcome.ts'
import { MOVES_BY_ITSELF } from './previewing.ts'
import { findProcesses, processesJson, type ProcessValues } from './processes-option.ts'
import { findTarget, type Target, type TargetValues, whoAmI } from './target.ts'

/** The options of every command that changes the flags file, besides `targetOptions`. */
export const changeOptions = {
  timeout: {
    type: 'string',
    value: 'SECONDS',
    help: 'how long to wait for flagd and the app processes (5)',
  },
  reason: { type: 'string', value: 'TEXT', help: 'why, for the history' },
  print: { type: 'boolean', help: 'print the new file to stdout instead of writing it' },
} as const

/** Describes the output of `--json`, for the help of these commands. */
export const changeJson = `--json prints ok, command, flag, file, action, from, to, because (why a rollback disabled the flag), written, hash {before, after},
users {sample, joins, leaves}, flagd {url, confirmed, servedMs, lastMs, probes, movers, cause, hint},
processes {confirmed, known, deciding, lastMs, samples, lagging [{process, cause, on, probes}], traffic,
newSideDown [{process, newSide}]},
historyId and warning, on one line.`

/** Of the commands that ask before they write; a rollback never asks. */
export const askOptions = {
  yes: {
    type: 'boolean',
    short: 'y',
    help: 'skip the confirmation prompt; needed without a terminal, where nobody can be asked',
  },
} as const

/** The parsed {@link changeOptions}. */
export interface ChangeValues extends TargetValues, ProcessValues {
  readonly json: boolean
  readonly print: boolean
  readonly timeout: string | undefined
  readonly reason: string | undefined
}

/** A command that changes the file: its name and its change. */
export interface Changing {
  readonly name: string
  readonly io: CommandIo
  readonly values: ChangeValues
  /** Preview who moves first, and ask. */
  readonly careful: boolean
  /** Skip the prompt. */
  readonly yes: boolean
  change(options: ChangeOptions): Promise<ChangeResult>
}

/** Users evaluated before a careful change. */
const sample = 10_000

/** Makes the change, prints the result, and resolves to the exit code. */
export async function runChange(changing: Changing): Promise<number> {
  const { io, values } = changing
  if (asks(changing) && !hasTerminal(io)) {
    // Also of a stdin that has a text: whoever wrote it did not see what would change.
    throw usageError(
      `${changing.name} asks before it writes, and there is no terminal to ask at; nothing was written`,
      'add --yes to write without asking, or --print to see the new file',
    )
  }
  const target = await findTarget(values, io.env)
  const processes = await findProcesses(values, io.env)
  const told = createTeller(changing, target)
  let moves: Preview | undefined
  let agreed = true
  const timeoutMs = readSeconds(values.timeout)
  const by = whoAmI(io.env)
  const result = await changing
    .change({
      ...target,
      processes,
      onLag: (so) => told.lag(so),
      by: values.reason === undefined ? by : { ...by, reason: values.reason },
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      signal: io.signal,
      dryRun: values.print,
      async onEdit(edit) {
        // Made-up users have no attributes, so they show nothing about a pilot.
        if (changing.careful && !changesNothing(edit) && edit.pilot === undefined) {
          moves = await preview({ ...edit, users: sample, signal: io.signal })
        }
        told.edit(edit, moves)
        agreed = !asks(changing) || changesNothing(edit) || (await ask(io, edit))
        if (!agreed) throw new DeclinedError()
      },
    })
    .catch((error: unknown) => {
      if (error instanceof DeclinedError) return undefined
      throw error
    })
  if (result === undefined) {
    io.stderr.write('nothing was written\n')
    return exitCode.refused
  }
  if (values.print) {
    io.stdout.write(result.edit.after.text)
    return exitCode.done
  }
  return told.result(result, moves)
}

class DeclinedError extends Error {}

/** The output of a change: lines for people, or one JSON document at the end. */
interface Teller {
  edit(edit: FlagsEdit, moves: Preview | undefined): void
  lag(so: ProcessConfirmation): void
  result(result: ChangeResult, moves: Preview | undefined): number
}

function createTeller({ name, io, values }: Changing, target: Target): Teller {
  if (values.json || values.print) {
    return {
      edit() {},
      lag() {},
      result(result, moves) {
        const code = codeOf(result)
        printJson(io.stdout, { ok: code === exitCode.done, ...jsonOf(name, target, result, moves) })
        return code
      },
    }
  }
  const { style, stdout } = io
  const row = createRows(stdout, style)
  return {
    edit(edit, moves) {
      stdout.write(`${style.bold(edit.flag)}  ${target.file}\n`)
      if (changesNothing(edit)) {
        row('share', unchangedText(edit))
        return
      }
      row('share', shareText(edit))
      if (edit.because !== undefined) row('disabled', style.yellow(whyDisabled(edit)))
      if (edit.pilot !== undefined) row('pilot', pilotText(edit))
      if (moves !== undefined) row('users', movesText(moves, style.red))
      if (moves?.movesByItself === true) row('clock', style.yellow(MOVES_BY_ITSELF))
      const lines = changedLines(edit.before.text, edit.after.text).map(({ kind, line }) =>
        kind === 'removed' ? style.red(`- ${line.trim()}`) : style.green(`+ ${line.trim()}`),
      )
      if (lines.length > 0) row('diff', lines.join('\n'))
    },
    lag({ deciding, known, lagging }) {
      row('waiting', style.yellow(`${deciding} of ${known} processes decide it`))
      for (const { process, cause } of lagging) row('', `${process} ${cause}`)
    },
    result(result) {
      const { applied, edit } = result
      if (applied !== undefined && applied.warning !== '') {
        row('warning', style.yellow(applied.warning))
      }
      if (applied !== undefined && changesNothing(edit)) {
        row('written', 'written again with a newer time, because not all had it')
      }
      for (const { label, text, bad } of outcomeLines(result, target)) {
        row(label, bad ? style.red(text) : text)
      }
      return codeOf(result)
    },
  }
}

function codeOf({ confirmed }: ChangeResult): number {
  return confirmed === false ? exitCode.unconfirmed : exitCode.done
}

function shareText({ action, from, to }: FlagsEdit): string {
  return action === 'disable' ? 'disabled' : `${percent(from)} -> ${percent(to)}`
}

function unchangedText({ action, from }: FlagsEdit): string {
  return action === 'disable'
    ? 'already taken back: the flag is disabled, and everyone gets the old side'
    : `${percent(from)}, unchanged in the file`
}

function pilotText({ action, pilot }: FlagsEdit): string {
  const values = (pilot?.values ?? []).map((value) => JSON.stringify(value)).join(', ')
  return `${pilot?.attribute} ${values} ${action === 'pilot' ? 'are routed to the new side' : 'are no longer routed to the new side'}`
}

/**
 * `1,512 of 10,000 sample users join, nobody leaves`, highlighted if users leave although the share
 * grows.
 */
export function movesText(moves: Preview, loud: (text: string) => string): string {
  const { users, joins, leaves, on } = moves
  const widening = on.after >= on.before
  const left = leaves.count === 0 ? 'nobody leaves' : `${count(leaves.count)} leave`
  const text = `${count(joins.count)} of ${count(users)} sample users join, ${left}`
  return widening && leaves.count > 0 ? loud(`${text}, although the share grows!`) : text
}

function jsonOf(
  command: string,
  target: Target,
  result: ChangeResult,
  moves: Preview | undefined,
): object {
  const { edit, applied, confirmation, processes } = result
  const warnings = [applied?.warning ?? '', newSideWarning(result)]
  return {
    command,
    flag: edit.flag,
    file: target.file,
    action: edit.action,
    from: edit.from ?? null,
    to: edit.to ?? null,
    ...(edit.because === undefined ? {} : { because: edit.because }),
    written: applied !== undefined,
    hash: { before: edit.before.hash, after: applied?.hash ?? edit.after.hash },
    ...(moves === undefined
      ? {}
      : { users: { sample: moves.users, joins: moves.joins.count, leaves: moves.leaves.count } }),
    ...(confirmation === undefined ? {} : { flagd: { url: target.flagd, ...confirmation } }),
    ...(processes === undefined ? {} : { processes: processesJson(processes) }),
    ...(applied === undefined ? {} : { historyId: applied.history.id }),
    warning: warnings.filter((each) => each !== '').join('; '),
  }
}

function asks({ careful, yes, values }: Changing): boolean {
  return careful && !yes && !values.print
}

/** Questions go to stderr, so that stdout may be a pipe or JSON. */
function hasTerminal({ stdin, stderr }: CommandIo): boolean {
  return stderr.isTTY === true && 'isTTY' in stdin && stdin.isTTY === true
}

async function ask({ stdin, stderr, signal }: CommandIo, edit: FlagsEdit): Promise<boolean> {
  // Enter alone widens nothing: more users on the new side are meant, or typed.
  const widens = edit.action === 'pilot' || (edit.to ?? 100) > (edit.from ?? 0)
  const what = edit.pilot === undefined ? shareText(edit) : pilotText(edit)
  stderr.write(`  ${edit.flag}: ${what}; write it? ${widens ? '[y/N]' : '[Y/n]'} `)
  // Reads by line, so that the end of the input counts as no.
  for await (const answer of createInterface({ input: stdin, signal })) {
    const typed = answer.trim()
    return typed === '' ? !widens : /^(y|yes)$/i.test(typed)
  }
  return false
}

function readSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (text.trim() !== '' && seconds >= 0 && seconds <= 3600) return seconds * 1000
  throw usageError(
    `--timeout ${JSON.stringify(text)} is not a number of seconds`,
    'write --timeout 10',
  )
}
