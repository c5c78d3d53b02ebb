import type { AlarmCode } from './alarms.ts'
import type { AuditAction, AuditEntry } from './audit.ts'
import type { GuardStatus } from './status.ts'
import { type GuardMode, viewOf } from './guard-summary.ts'

const MODES: readonly GuardMode[] = ['acting', 'advising', 'yielded', 'blind', 'standby', 'stopped']

/** Counted from the start, so that the first one is an increase. */
const COUNTED: readonly AuditAction[] = ['advance', 'rollback', 'yield', 'incident', 'alarm']

/** The guard's own metrics: fed with its audit lines and its status after each poll. */
export class GuardMetrics {
  readonly #flag: string
  readonly #actions = new Map<AuditAction, number>(COUNTED.map((action) => [action, 0]))
  /** Each alarm that was ever on, so that it ends as 0 and not as a gap. */
  readonly #alarms = new Set<AlarmCode>()
  #status: GuardStatus | undefined

  constructor(flag: string) {
    this.#flag = flag
  }

  count({ action, dryRun }: AuditEntry): void {
    if (!dryRun) this.#actions.set(action, (this.#actions.get(action) ?? 0) + 1)
  }

  see(status: GuardStatus): void {
    this.#status = status
    for (const { code } of status.alarms) this.#alarms.add(code)
  }

  /** Epoch milliseconds of the last poll; 0 before the first. */
  get polledAt(): number {
    return this.#status?.at ?? 0
  }

  /** In the text format of Prometheus. */
  text(): string {
    const status = this.#status
    const counts = Array.from(this.#actions, ([action, count]): Sample => [
      `action="${action}"`,
      count,
    ])
    const families = [
      this.#family('decisions_total', 'counter', 'What the guard did and noted.', counts),
    ]
    if (status === undefined) return families.join('')
    const { mode } = viewOf(status)
    const { percent, alarms, expected, messages, epoch } = status
    const on = new Set(alarms.map(({ code }) => code))
    families.push(
      this.#family(
        'last_poll_timestamp_seconds',
        'gauge',
        'When the guard last looked, in seconds since the epoch: its heartbeat.',
        [['', status.at / 1000]],
      ),
      this.#family(
        'mode',
        'gauge',
        'What the guard does; 1 for the mode that it is in.',
        MODES.map((each) => [`mode="${each}"`, each === mode ? 1 : 0]),
      ),
      this.#family('share_ratio', 'gauge', 'Share of the new side that the guard has confirmed.', [
        ['', percent / 100],
      ]),
      this.#family('epoch', 'gauge', 'Which attempt this is; each resume begins one.', [
        ['', epoch],
      ]),
      this.#family(
        'alarm',
        'gauge',
        'Alarms of the guard: 1 from its begin to its end.',
        Array.from(this.#alarms, (code) => [`alarm="${code}"`, on.has(code) ? 1 : 0]),
      ),
      this.#family('messages_total', 'counter', 'Messages to people, by what became of them.', [
        ['result="sent"', messages.sent],
        ['result="failed"', messages.failed],
      ]),
    )
    if (expected !== undefined) {
      families.push(
        this.#family(
          'expected_split_ratio',
          'gauge',
          'Share of the probe users that each process must send to the new side, by the flags file.',
          [['', expected]],
        ),
      )
    }
    return families.join('')
  }

  #family(name: string, type: string, help: string, samples: readonly Sample[]): string {
    const full = `switchback_guard_${name}`
    const flag = this.#flag.replaceAll(/[\\"]/g, String.raw`\$&`)
    const lines = samples.map(
      ([labels, value]) => `${full}{flag="${flag}"${labels === '' ? '' : `,${labels}`}} ${value}\n`,
    )
    if (lines.length === 0) return ''
    return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join('')}`
  }
}

/** Labels besides the flag, and the value. */
type Sample = readonly [string, number]
