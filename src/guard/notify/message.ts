import { randomUUID } from 'node:crypto'
import type { AlarmCode } from '../status/alarms.ts'
import type { AuditAction, AuditEntry } from '../status/audit.ts'

/** A key of the plan's `notify`. */
export type NotifyOn = 'onRollback' | 'onAdvance' | 'onAlarm' | 'onYield'

export const NOTIFY_ON: readonly NotifyOn[] = ['onRollback', 'onAdvance', 'onAlarm', 'onYield']

/** What a receiver gets as JSON. */
export interface GuardMessage {
  readonly version: 1
  /** The same for each attempt to deliver it. */
  readonly id: string
  /** ISO 8601, UTC. */
  readonly at: string
  readonly event:
    | 'rollback'
    | 'advance'
    | 'ask'
    | 'finish'
    | 'alarm'
    | 'alarm-end'
    | 'page'
    | 'yield'
    | 'test'
  /** `page`: a person has to look now; `info`: nothing has to be done. */
  readonly severity: 'page' | 'warning' | 'info'
  readonly flag: string
  readonly guard: string
  /** Shares of the new side, in percent. */
  readonly from: number
  readonly to: number
  /** One sentence for people; chat tools show a field of this name. */
  readonly text: string
  readonly reason: string
  /** Of an alarm. */
  readonly alarm?: AlarmCode
  /** ISO 8601: when the alarm began. */
  readonly since?: string
  /** Whether flagd and every process follow the change. */
  readonly confirmed?: boolean
  readonly epoch?: number
}

/** By action of the audit: which receivers hear of it, and as what. */
const EVENTS: Partial<
  Record<AuditAction, { readonly on: NotifyOn; readonly event: GuardMessage['event'] }>
> = {
  rollback: { on: 'onRollback', event: 'rollback' },
  advance: { on: 'onAdvance', event: 'advance' },
  ask: { on: 'onAdvance', event: 'ask' },
  finish: { on: 'onAdvance', event: 'finish' },
  alarm: { on: 'onAlarm', event: 'alarm' },
  clear: { on: 'onAlarm', event: 'alarm-end' },
  page: { on: 'onAlarm', event: 'page' },
  yield: { on: 'onYield', event: 'yield' },
}

/** Alarms that cannot wait until the morning: users are harmed, or nothing would stop that. */
const PAGING: ReadonlySet<AlarmCode> = new Set(['rollback-failed', 'regressed', 'not-served'])

function severityOf(
  event: GuardMessage['event'],
  alarm: AlarmCode | undefined,
): GuardMessage['severity'] {
  if (event === 'rollback' || event === 'page') return 'page'
  if (event === 'alarm') return alarm !== undefined && PAGING.has(alarm) ? 'page' : 'warning'
  return event === 'yield' || event === 'ask' ? 'warning' : 'info'
}

function textOf(event: GuardMessage['event'], { flag, from, to, reason }: AuditEntry): string {
  const move = from === to ? `at ${to} %` : `${from} % -> ${to} %`
  const words: Partial<Record<GuardMessage['event'], string>> = {
    rollback: 'rolled back',
    ask: `waits for an approval of ${to} %`,
    alarm: 'alarm',
    'alarm-end': 'alarm ended',
    page: 'needs a person',
    yield: 'the guard stopped acting',
  }
  const word = words[event] ?? event
  return `${flag}: ${word}${event === 'ask' ? '' : `, ${move}`}: ${reason}`
}

/** What is said of an audit line, and to whom; undefined when nobody is to hear of it. */
export function messageOfEntry(
  entry: AuditEntry,
  guard: string,
): { readonly on: NotifyOn; readonly message: GuardMessage } | undefined {
  const found = EVENTS[entry.action]
  // A guard that only reports would page for what has not happened.
  if (found === undefined || entry.dryRun) return undefined
  const { on, event } = found
  const { at, flag, from, to, reason, alarm, since, confirmed, epoch } = entry
  const message: GuardMessage = {
    version: 1,
    id: randomUUID(),
    at,
    event,
    severity: severityOf(event, alarm),
    flag,
    guard,
    from,
    to,
    text: textOf(event, entry),
    reason,
    ...(alarm === undefined ? {} : { alarm }),
    ...(since === undefined ? {} : { since }),
    ...(confirmed === undefined ? {} : { confirmed }),
    ...(epoch === undefined ? {} : { epoch }),
  }
  return { on, message }
}

/** To see whether the receivers are there, before they are needed. */
export function testMessage(flag: string, guard: string): GuardMessage {
  const reason = `a test of ${guard}; nothing has happened, and nothing has to be done`
  return {
    version: 1,
    id: randomUUID(),
    at: new Date().toISOString(),
    event: 'test',
    severity: 'info',
    flag,
    guard,
    from: 0,
    to: 0,
    text: `${flag}: ${reason}`,
    reason,
  }
}
