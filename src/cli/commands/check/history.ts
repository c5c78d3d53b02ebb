import {
  concerns,
  findOutside,
  type HistoryEntry,
  historyFile,
  loadFlags,
  behindLinks,
  requireFlag,
  type FlagsFile,
  readHistory,
} from '../../../rollout/index.ts'
import { type Command, exitCode, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { displayPath, printJson } from '../../framework/format.ts'
import { outsideText } from '../../changing/outside-text.ts'
import type { Style } from '../../framework/style.ts'
import { fileOptions, findFlagsFile } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'history [options]',
  summary: 'shows who changed what and when, newest first',
  details: `Reads the audit log beside the flags file (use-redis.json: use-redis.history.jsonl). "outside"
is a change by hand or by another tool: switchback control, guard and watch record it when
they see it, any command before its own change; "not yet written" is one that is not recorded yet.
Values of pilots are hashed.

--json prints ok, command, flag, file and entries, newest first: id, at, who, via, reason, action,
from, to, before, after, changes, pilot, undoes, warning; unwritten: true on one not yet written.`,
  options: {
    limit: { type: 'string', value: 'N', help: 'how many at most (20)' },
    ...fileOptions,
  },
  examples: [
    ['switchback history', 'the last 20 changes'],
    ['switchback history --limit 1 --json', 'the last change as JSON'],
  ],
  async run({ values, env, stdout, style }) {
    const limit = Number(values.limit ?? 20)
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw usageError(
        `--limit ${JSON.stringify(values.limit)} is not a number`,
        'write --limit 20',
      )
    }
    const { flag, file } = await findFlagsFile(values, env)
    const place = await behindLinks(file)
    // The history is readable even if the file is not.
    const outside = await loadFlags(place).then(
      (document) => findOutside({ file: place, document }),
      (): HistoryEntry[] => [],
    )
    const unwritten = new Set(outside.map(({ id }) => id))
    const entries = [...(await readHistory(place)), ...outside]
      .filter((entry) => concerns(entry, flag))
      .slice(-limit)
      .toReversed()
    if (entries.length === 0) await requireFlag(place, flag)
    if (values.json) {
      printJson(stdout, {
        ok: true,
        command: 'history',
        flag,
        file: nameOf(place),
        entries: entries.map((entry) =>
          unwritten.has(entry.id) ? { ...entry, unwritten: true } : entry,
        ),
      })
      return exitCode.done
    }
    stdout.write(`${style.bold(flag)}  ${displayPath(nameOf(place))}\n`)
    if (entries.length === 0) stdout.write('  no changes yet\n')
    const width = Math.max(0, ...entries.map(({ who }) => who.length))
    for (const entry of entries) {
      const time = entry.at.replace('T', ' ').replace(/\.\d+Z$/, 'Z')
      const note = unwritten.has(entry.id) ? 'not yet written' : entry.reason
      const reason = note === undefined ? '' : `  ${style.dim(note)}`
      stdout.write(
        `  ${style.dim(time)}  ${entry.who.padEnd(width)}  ${entry.action.padEnd(12)}  ${moveText(entry, style)}${reason}\n`,
      )
    }
    return exitCode.done
  },
})

/** Where the lines are: in a file beside the flags, or where the flags are. */
function nameOf(file: FlagsFile): string {
  return typeof file === 'string' ? historyFile(file) : String(file)
}

function moveText(entry: HistoryEntry, style: Style): string {
  const { action, from, to, pilot, warning } = entry
  if (action === 'outside') {
    return warning === undefined ? outsideText(entry) : style.red(outsideText(entry))
  }
  if (action === 'disable') return 'disabled'
  const share = from === to ? `${to ?? '?'} %` : `${from ?? '?'} % -> ${to ?? '?'} %`
  return pilot === undefined
    ? share
    : `${share}, ${pilot.attribute} (${pilot.values.length} values)`
}
