import {
  compareServed,
  confirmProcesses,
  expectationOf,
  type ProcessConfirmation,
  concerns,
  describe,
  type Description,
  findOutside,
  type HistoryEntry,
  loadFlags,
  behindLinks,
  type Finding,
  type FlagsFile,
  readHistory,
  refusalIn,
  type ServedComparison,
} from '../../../rollout/index.ts'
import { isSwitchbackError } from '../../../errors.ts'
import { type Command, exitCode } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { ago, createRows, percent, printJson } from '../../framework/format.ts'
import type { Style } from '../../framework/style.ts'
import { outsideText } from '../../changing/outside-text.ts'
import {
  findProcesses,
  howToName,
  processesJson,
  processOptions,
} from '../../changing/processes-option.ts'
import { newSideDown, SERVED_BY_OTHERS } from '../../changing/outcome.ts'
import { stillServed } from '../../changing/still-served.ts'
import { findTarget, targetOptions } from '../../changing/target.ts'

const metricsHelp = 'metrics URL of an app process to ask (repeatable; or SWITCHBACK_METRICS)'

export const command: Command = defineCommand({
  usage: 'status [options]',
  summary: 'shows the split, and whether flagd and the processes follow it',
  details: `Exit code 1 when flagd or a process decides something other than the file says, flagd refuses the
file, the rule is not understood or fails, no app can use the variants, or the file of --target git is not what the remote has; 3 when flagd or a
process does not answer. Name the processes as for switchback rollback.

--json prints ok, command, file, hash, flag, state, shape, share, weights {on, off}, defaultVariant,
pilots, problem {code, message, hint} (why no app can use the flag), sentence, refused (why flagd does not take the file), flagd {url, state, probes, agreeing, detail},
processes {confirmed, known, deciding, lagging [{process, cause, on, probes}], newSideDown [{process, newSide}]}, last, outside (what was changed
by hand since the last line of the history: from, to, warning), and stale (why the file of --target git is not what
the remote has), on one line.`,
  options: {
    ...targetOptions,
    ...processOptions,
    metrics: { ...processOptions.metrics, help: metricsHelp },
  },
  examples: [
    ['switchback status', 'the split of use-redis, and what flagd serves'],
    ['switchback status --no-flagd --json', 'what the file says, as JSON'],
  ],
  async run({ values, env, stdout, style, signal }) {
    const { flag, file, flagd } = await findTarget(values, env)
    const processes = await findProcesses(values, env)
    const document = await loadFlags(file).catch(async (error: unknown) => {
      if (isSwitchbackError(error) && !values.json) {
        stdout.write(`${style.bold(flag)}  ${file}\n`)
        const row = createRows(stdout, style)
        const still = await stillServed({ flag, flagd, processes, signal })
        const why =
          error.code === 'SB_FLAGS_YAML'
            ? 'is YAML, which flagd and the processes read, and switchback does not edit'
            : 'cannot be read: flagd and the processes keep the last flags they read'
        row('file', style.red(why))
        if (still.flagd !== '') row('flagd', still.flagd)
        row('apps', processes === undefined ? howToName : still.apps)
      }
      throw error
    })
    const description = describe(document, flag)
    const located = await behindLinks(file)
    const history = await readHistory(located)
    const last = history.findLast((entry) => concerns(entry, flag))
    const outside = (await findOutside({ file: located, document })).findLast((entry) =>
      concerns(entry, flag),
    )
    const refusal = refusalIn(document.text)
    const served =
      flagd === false
        ? undefined
        : await compareServed(document, { flag, url: flagd, signal }).catch((error: unknown) => {
            // The refusal may concern this very flag: then there is nothing to compare with.
            if (refusal === undefined) throw error
            return undefined
          })
    const decided =
      processes === undefined || refusal !== undefined
        ? undefined
        : await confirmProcesses({
            flag,
            processes,
            expected: expectationOf(document, flag),
            once: true,
            signal,
          })
    const stale = await staleness(file)
    signal.throwIfAborted()
    const good = refusal === undefined && stale === undefined
    const code = good ? codeOf(description, served, decided) : exitCode.refused
    if (values.json) {
      printJson(stdout, {
        ok: code === exitCode.done,
        command: 'status',
        file,
        hash: document.hash,
        ...description,
        share: description.share ?? null,
        ...(refusal === undefined ? {} : { refused: refusal }),
        ...(served === undefined ? {} : { flagd: { url: flagd, ...served } }),
        ...(decided === undefined ? {} : { processes: processesJson(decided) }),
        ...(last === undefined ? {} : { last }),
        ...(outside === undefined ? {} : { outside }),
        ...(stale === undefined ? {} : { stale }),
      })
      return code
    }
    const row = createRows(stdout, style)
    const { shape, weights, reason, at, problem, state, defaultVariant } = description
    const ratio = weights === undefined ? '' : `  (on ${weights.on} : off ${weights.off})`
    const place = at === undefined ? '' : `, line ${at.line}, column ${at.column}`
    stdout.write(`${style.bold(flag)}  ${file}\n`)
    row('share', `${style.bold(percent(description.share))}${ratio}`)
    row('shape', reason === undefined ? shape : style.red(`${shape}: ${reason}${place}`))
    if (problem !== undefined) row('problem', style.red(problemText(problem)))
    if (stale !== undefined) row('stale', style.red(stale))
    row('state', `${state}, default ${defaultVariant ?? 'of the code'}`)
    row('who', description.sentence)
    if (refusal !== undefined) row('refused', style.red(refusalText(refusal)))
    if (served !== undefined) row('flagd', servedText(served, String(flagd), style))
    row('apps', appsText(decided, refusal, processes !== undefined, style))
    const down = newSideDown(decided)
    if (down !== '') {
      const sent = (description.share ?? 100) > 0 && state === 'ENABLED'
      row('warning', style.red(`${down}: ${sent ? SERVED_BY_OTHERS : NOBODY_IS_SENT}`))
    }
    if (last !== undefined) row('last', lastText(last, style))
    if (outside !== undefined) row('since', editedText(outside, style))
    return code
  },
})

const NOBODY_IS_SENT = 'nobody is sent there; it must answer before users are'

/** Why the text may not be what all others have; `undefined` where it is. */
async function staleness(file: FlagsFile): Promise<string | undefined> {
  if (typeof file === 'string') return undefined
  try {
    await file.requireCurrent?.()
    return undefined
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    return `this may not be what the remote has: ${error.message} (${error.hint})`
  }
}

function codeOf(
  description: Description,
  served: ServedComparison | undefined,
  decided: ProcessConfirmation | undefined,
): number {
  const others = decided?.lagging ?? []
  const { shape, problem } = description
  if (served?.state === 'different' || shape === 'unknown' || problem !== undefined) {
    return exitCode.refused
  }
  if (others.some(({ silent }) => !silent)) return exitCode.refused
  return served?.state === 'unreachable' || others.length > 0 ? exitCode.unconfirmed : exitCode.done
}

function problemText({ code, message, hint }: NonNullable<Description['problem']>): string {
  return `${code}: ${message}\n-> ${hint}`
}

/** `3 of 3 processes decide what the file says`, or which do not and why. */
function appsText(
  decided: ProcessConfirmation | undefined,
  refusal: Finding | undefined,
  named: boolean,
  style: Style,
): string {
  if (!named) return howToName
  if (decided === undefined) {
    return refusal === undefined
      ? ''
      : 'not asked: flagd refuses the file, so there is nothing to compare with'
  }
  const { deciding, known, lagging } = decided
  const head = `${deciding} of ${known} ${known === 1 ? 'process decides' : 'processes decide'} what the file says`
  if (lagging.length === 0) return style.green(head)
  const lines = lagging.map(({ process, cause }) => `${process} ${cause}`)
  return style.red([head, ...lines].join('\n'))
}

function refusalText({ line, column, message, fix }: Finding): string {
  const keeps = 'flagd and the processes keep the last good flags'
  return `line ${line}, column ${column}: ${message}; ${keeps}. ${fix}`
}

function servedText(served: ServedComparison, url: string, style: Style): string {
  if (served.state === 'same') {
    return style.green(`serves what the file says (${served.probes} probe users at ${url})`)
  }
  if (served.state === 'unreachable') return style.yellow(served.detail)
  const wrong = served.probes - served.agreeing
  return style.red(
    `does not serve what the file says: ${wrong} of ${served.probes} probe users differ (${served.detail})`,
  )
}

function lastText(entry: HistoryEntry, style: Style): string {
  const { action, from, to, who, at, reason, warning } = entry
  if (action === 'outside') {
    const text = `${outsideText(entry)}, seen ${ago(at)}`
    return warning === undefined ? text : style.red(text)
  }
  const known = from !== undefined && to !== undefined
  // Written again with the same share, because not all had it.
  const move = !known ? '' : from === to ? ` ${to} % again` : ` ${from} % -> ${to} %`
  return `${action}${move} by ${who}, ${ago(at)}${reason === undefined ? '' : `: ${reason}`}`
}

/** An edit that is not in the history yet. */
function editedText(entry: HistoryEntry, style: Style): string {
  const text = `${outsideText(entry)}; no command made this change; switchback undo undoes it`
  return entry.warning === undefined ? style.yellow(text) : style.red(text)
}
