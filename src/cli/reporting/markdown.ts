import type { AuditEntry, AuditNumbers } from '../../guard/index.ts'
import type { HistoryEntry } from '../../rollout/index.ts'

export interface ReportInput {
  readonly flag: string
  /** Of this flag, oldest first. */
  readonly history: readonly HistoryEntry[]
  /** The guard's journal of this flag, oldest first. */
  readonly journal: readonly AuditEntry[]
  /** Epoch milliseconds. */
  readonly now: number
}

interface Line {
  readonly at: string
  readonly who: string
  readonly what: string
  readonly why: string
}

/** Actions of the journal that stand in the history too, or that say nothing of the rollout. */
const ELSEWHERE: ReadonlySet<AuditEntry['action']> = new Set(['advance', 'rollback', 'hold', 'ask'])

/** The post-mortem of a rollout as Markdown: what is known stands there, what people know is left open. */
export function reportMarkdown(input: ReportInput): string {
  const { flag, history, journal, now } = input
  const lines = timeline(history, journal)
  const sections = [
    `# Rollout of \`${flag}\``,
    summary(input),
    `## What happened\n\n${table(
      ['time (UTC)', 'who', 'what', 'why'],
      lines.map(({ at, who, what, why }) => [clock(at), who, what, why]),
    )}`,
    `## How long at each share\n\n${table(['share', 'from (UTC)', 'for'], shares(history, now))}`,
    evidence(journal),
    alarms(journal, now),
    incidents(journal),
    OPEN,
  ]
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`
}

const OPEN = `## What people know

- What users noticed:
- Why it happened:
- What kept it from being worse:
- What will be done, by whom, until when:`

function summary({ history, journal }: ReportInput): string {
  const moves = history.filter(({ to }) => to !== undefined)
  const [first] = history
  const last = history.at(-1)
  const widest = Math.max(0, ...moves.map(({ to = 0 }) => to))
  const back = history.findLast(
    ({ action, to }) => action === 'rollback' || action === 'disable' || to === 0,
  )
  const attempts = Math.max(0, ...journal.map(({ epoch = 1 }) => epoch))
  const at = (share: number | undefined): string => (share === undefined ? 'unclear' : `${share} %`)
  const rows = [
    ['from', first === undefined ? 'nothing is recorded' : `${clock(first.at)} UTC`],
    ['to', last === undefined ? '' : `${clock(last.at)} UTC`],
    ['share now', at(last?.to)],
    ['widest share', at(widest)],
    ['attempts of the guard', attempts === 0 ? 'none, no guard ran' : String(attempts)],
    [
      'last way back',
      back === undefined || back.from === 0
        ? 'none'
        : `${clock(back.at)} UTC by ${back.who}: ${back.reason ?? 'no reason was given'}`,
    ],
    ...confirmations(journal),
  ]
  return rows.map(([name, value]) => `- **${name}**: ${cell(value ?? '')}`).join('\n')
}

function confirmations(journal: readonly AuditEntry[]): string[][] {
  const back = journal.findLast(({ action }) => action === 'rollback')
  if (back === undefined) return []
  const { servedMs, confirmed } = back
  const how =
    confirmed === true
      ? `by all that were asked, after ${servedMs ?? '?'} ms`
      : confirmed === false
        ? 'not by all that were asked'
        : 'nobody was asked'
  return [['the guard’s rollback was confirmed', how]]
}

function timeline(history: readonly HistoryEntry[], journal: readonly AuditEntry[]): Line[] {
  const changes = history.map(({ at, who, via, action, from, to, reason, warning }): Line => {
    const move = from === to ? `${to ?? '?'} %` : `${from ?? '?'} % → ${to ?? '?'} %`
    const why = [reason ?? '', warning ?? ''].filter((part) => part !== '').join('; ')
    return { at, who: via === 'outside' ? 'an edit by hand' : who, what: `${action}, ${move}`, why }
  })
  const notes = journal
    .filter(({ action }) => !ELSEWHERE.has(action))
    .map(({ at, who = 'guard', action, to, reason }): Line => {
      return { at, who, what: `${action}, at ${to} %`, why: reason }
    })
  return [...changes, ...notes].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at))
}

function shares(history: readonly HistoryEntry[], now: number): string[][] {
  const moves = history.filter(({ from, to }) => from !== to)
  return moves.map(({ at, to }, index) => {
    const until = moves[index + 1]?.at
    const end = until === undefined ? now : Date.parse(until)
    const open = until === undefined ? ', so far' : ''
    return [
      to === undefined ? UNCLEAR : `${to} %`,
      clock(at),
      `${duration(end - Date.parse(at))}${open}`,
    ]
  })
}

/** Of a rule that an edit has broken, or that is not understood. */
const UNCLEAR = 'unclear: the rule fails or is not understood, users keep the side known last'

/** The numbers behind the last rollback, else behind the last decision. */
function evidence(journal: readonly AuditEntry[]): string {
  const having = journal.filter(({ numbers = [] }) => numbers.length > 0)
  const entry =
    having.findLast(({ action }) => action === 'rollback') ??
    having.findLast(({ action }) => action === 'advance')
  if (entry === undefined) return ''
  const rows = (entry.numbers ?? []).map((numbers) => [
    `\`${numbers.metric}\``,
    numbers.on,
    numbers.off,
    odds(numbers.harm, numbers.harmThreshold),
    worst(numbers),
  ])
  const what = entry.action === 'rollback' ? 'the rollback' : `the step to ${entry.to} %`
  const head = [
    'metric',
    'new side, bad of all',
    'old side, bad of all',
    'odds of harm (needed)',
    'worst process',
  ]
  return `## The evidence behind ${what} of ${clock(entry.at)} UTC\n\n${table(head, rows)}`
}

function worst({ worst: found }: AuditNumbers): string {
  return found === undefined
    ? ''
    : `${found.replica}, ${Math.round(found.share * 100)} % of the bad`
}

function odds(log: number, threshold: number): string {
  const of = (value: number): string =>
    value > 16 ? 'above 10,000,000' : Number(Math.exp(value).toPrecision(2)).toLocaleString('en-US')
  return `${of(log)} to 1 (${of(threshold)})`
}

function alarms(journal: readonly AuditEntry[], now: number): string {
  const begun = journal.filter(({ action }) => action === 'alarm')
  if (begun.length === 0) return ''
  const rows = begun.map((entry) => {
    const code = codeOf(entry)
    const end = journal.find(
      (each) =>
        each.action === 'clear' &&
        codeOf(each) === code &&
        Date.parse(each.at) >= Date.parse(entry.at),
    )
    const ms = (end === undefined ? now : Date.parse(end.at)) - Date.parse(entry.at)
    const lasted = end === undefined ? `${duration(ms)}, and was not ended` : duration(ms)
    return [clock(entry.at), `\`${code}\``, lasted, entry.reason.slice(code.length + 2)]
  })
  return `## Alarms\n\n${table(['from (UTC)', 'alarm', 'lasted', 'what it said'], rows)}`
}

function codeOf({ alarm, reason }: AuditEntry): string {
  return alarm ?? reason.split(':')[0] ?? ''
}

function incidents(journal: readonly AuditEntry[]): string {
  const found = journal.filter(({ action }) => action === 'incident')
  if (found.length === 0) return ''
  const lines = found.map(({ at, reason }) => `- ${clock(at)} UTC: ${cell(reason)}`)
  return `## Incidents that were survived\n\n${lines.join('\n')}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), `| ${head.map(() => '---').join(' | ')} |`, ...rows.map(line)].join('\n')
}

/** Reasons are typed by people: one line, and no cell of its own. */
function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('<', '&lt;')
}

function clock(at: string): string {
  const time = new Date(at).toISOString()
  return `${time.slice(0, 10)} ${time.slice(11, 19)}`
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`
  return `${(seconds / 3600).toFixed(1)} h`
}
