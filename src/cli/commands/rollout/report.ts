import { readFile } from 'node:fs/promises'
import { quote } from '../../../errors.ts'
import { type AuditEntry, guardFiles } from '../../../guard/index.ts'
import { behindLinks, concerns, readHistory, requireFlag } from '../../../rollout/index.ts'
import { type Command, exitCode, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { reportMarkdown } from '../../reporting/markdown.ts'
import { fileOptions, findFlagsFile } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'report [options]',
  summary: "writes a rollout's post-mortem as Markdown, from the history and the guard's journal",
  details: `Who changed what, how long each share was served, the evidence behind the last rollback, alarms and survived
incidents; what only people know is left open. Without --since it begins at the last time that nobody was on the
new side, or at the first change. --json prints what the report is made of.`,
  options: {
    ...fileOptions,
    since: { type: 'string', value: 'TIME', help: 'begin there: 2026-11-26T20:00Z, or 3h, 2d' },
  },
  examples: [
    ['switchback report > rollout.md', 'the last rollout'],
    ['switchback report --since 3h', 'what happened in the last three hours'],
  ],
  async run({ values, env, stdout }) {
    const { flag, file } = await findFlagsFile(values, env)
    const place = await behindLinks(file)
    const now = Date.now()
    const all = (await readHistory(place)).filter((entry) => concerns(entry, flag))
    if (all.length === 0) await requireFlag(place, flag)
    const since = values.since === undefined ? beginOf(all) : timeOf(values.since, now)
    const within = ({ at }: { readonly at: string }): boolean => Date.parse(at) >= since
    const history = all.filter(within)
    const journal = (await readJournal(guardFiles(file, flag).audit)).filter(
      (entry) => entry.flag === flag && within(entry),
    )
    const input = { flag, history, journal, now }
    stdout.write(
      values.json
        ? `${JSON.stringify({ ok: true, command: 'report', ...input })}\n`
        : reportMarkdown(input),
    )
    return exitCode.done
  },
})

/** When the last rollout began: at the last change away from nobody. */
function beginOf(history: readonly { readonly at: string; readonly from?: number }[]): number {
  const first = history.findLast(({ from }) => from === 0) ?? history[0]
  return first === undefined ? 0 : Date.parse(first.at)
}

function timeOf(text: string, now: number): number {
  const [, count = '', unit = ''] = /^(\d+)(m|h|d)$/.exec(text) ?? []
  const ms = { m: 60_000, h: 3_600_000, d: 86_400_000 }[unit]
  const time = ms === undefined ? Date.parse(text) : now - Number(count) * ms
  if (!Number.isNaN(time)) return time
  throw usageError(`--since ${quote(text)} is not a time`, 'write 2026-11-26T20:00Z, or 3h')
}

/** The journal, without lines that a crash cut off. */
async function readJournal(file: string): Promise<AuditEntry[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.split('\n').flatMap((line) => {
    try {
      const entry = JSON.parse(line) as Partial<AuditEntry>
      const { at, action, flag, reason } = entry
      const whole = [at, action, flag, reason].every((each) => typeof each === 'string')
      return whole && !Number.isNaN(Date.parse(at!)) ? [entry as AuditEntry] : []
    } catch {
      return []
    }
  })
}
