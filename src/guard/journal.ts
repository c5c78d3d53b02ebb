import { isSwitchbackError, messageOf } from '../errors.ts'
import type { Effect } from './actuator.ts'
import { auditNumbers } from './audit.ts'
import type { AuditAction, AuditEntry } from './audit.ts'
import type { Verdict } from './rule/index.ts'

export interface News {
  readonly action: AuditAction
  readonly from: number
  readonly to: number
  readonly reason: string
  readonly verdict: Verdict | undefined
  readonly effect?: Effect
}

export interface JournalOptions {
  readonly flag: string
  readonly dryRun: boolean
  readonly now: () => number
  readonly audit: (entry: AuditEntry) => void | Promise<void>
}

/** Writes the audit lines. An audit log on a full disk must not keep the guard from rolling back. */
export class Journal {
  readonly #options: JournalOptions
  #said = ''

  constructor(options: JournalOptions) {
    this.#options = options
  }

  async write({ action, from, to, reason, verdict, effect }: News): Promise<void> {
    if (action !== 'alarm' && action !== 'clear') this.#said = ''
    const { flag, dryRun, now, audit } = this.#options
    const numbers = auditNumbers(verdict)
    const detail = effect === undefined || effect.detail === '' ? '' : ` (${effect.detail})`
    try {
      await audit({
        at: new Date(now()).toISOString(),
        flag,
        action,
        dryRun,
        from,
        to,
        reason: reason + detail,
        ...(effect?.lastMs === undefined ? {} : { servedMs: Math.round(effect.lastMs) }),
        ...(effect?.confirmed === undefined ? {} : { confirmed: effect.confirmed }),
        ...(numbers === undefined ? {} : { numbers }),
      })
    } catch {
      // As said above.
    }
  }

  /** Like {@link write}, once while the news stay the same but for their numbers. */
  async say(news: News): Promise<void> {
    const key = `${news.action} ${news.to} ${news.reason.replaceAll(/[\d.,:]+/g, '#')}`
    if (key === this.#said) return
    await this.write(news)
    this.#said = key
  }
}

/** What went wrong and what to do, on one line. */
export function explain(error: unknown): string {
  const hint = isSwitchbackError(error) && error.hint !== undefined ? `; ${error.hint}` : ''
  return messageOf(error) + hint
}
