import { clock } from '../../clock.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, SwitchbackError } from '../../errors.ts'
import type { GuardReading, GuardView } from '../../control/index.ts'
import {
  type AuditEntry,
  createSharedGuard,
  type RunningGuard,
  guardFiles,
  GuardMetrics,
  type GuardStatus,
  HEARD_WITHIN_MS,
  lapsedLease,
  leaveApproval,
  leaveOrder,
  type Plan,
  type PublishedStatus,
  readStatus,
  viewOf,
} from '../../guard/index.ts'
import type { Environment } from '../framework/command.ts'
import type { Target } from '../changing/target.ts'
import { sharedNotes, sharedStatus } from '../guarding/shared-notes.ts'

/**
 * What the guard of the control page may do: `act` changes the split, `ask` widens only after an
 * approval, `watch` shows the evidence and changes nothing.
 */
export type GuardBesideMode = 'act' | 'ask' | 'watch'

export interface GuardBesideOptions {
  readonly mode: GuardBesideMode
  readonly plan: Plan
  readonly target: Pick<Target, 'flag' | 'file' | 'flagd'>
  /** E.g. `guard of ann@host`. */
  readonly name: string
  readonly prometheusToken?: string | undefined
  /** Where the plan's `notify` finds addresses and the secret. @default {} */
  readonly env?: Environment
  readonly signal: AbortSignal
  /** Receives the reason when the guard is restarted. */
  readonly say: (line: string) => void
}

const RETRY_MS = 5000

/**
 * Runs a guard in this process for the page. It may fail (e.g. on a rule that is not a split): the
 * control page continues, shows the reason, and starts a new guard later.
 */
export function guardBeside(
  options: GuardBesideOptions,
): GuardView & { readonly done: Promise<void> } {
  const { mode, signal } = options
  const metrics = new GuardMetrics(options.target.flag)
  let guard: RunningGuard | undefined
  let status: GuardStatus | undefined
  let failure = 'is starting'

  // The guard that acts may run elsewhere, beside the same flags file or on the same object: it is the one to be shown.
  let acting: PublishedStatus | undefined
  const remote = new RemoteGuard()
  let lapsed: Awaited<ReturnType<typeof lapsedLease>>
  const files = guardFiles(options.target.file, options.target.flag)
  const listen = async (): Promise<void> => {
    const { flag } = options.target
    while (!signal.aborted) {
      const found = await readStatus(files.status)
      acting = found?.flag === flag ? found : undefined
      if (isAside()) remote.hear(await sharedStatus(options.target.file), flag)
      lapsed = await lapsedLease(files.lease).catch(() => undefined)
      await sleep(1000, undefined, { signal }).catch(() => {})
    }
  }

  const said = new Set<string>()
  const sayOnce = (line: string): void => {
    if (!said.has(line)) options.say(line)
    said.add(line)
  }
  const runOnce = async (): Promise<void> => {
    const over = new AbortController()
    try {
      guard = await create({ ...options, say: sayOnce }, (entry) => metrics.count(entry))
      await guard.run(AbortSignal.any([signal, over.signal]), (now) => {
        status = now
        metrics.see(now)
        failure = ''
        // A guard that only watches has nothing to yield: it follows all edits of the split.
        if (mode === 'watch' && now.phase === 'yielded') over.abort()
      })
    } catch (error) {
      failure = messageOf(error)
      options.say(`guard: ${failure}`)
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {})
    }
  }
  const watching = (async () => {
    while (!signal.aborted) await runOnce()
  })()
  const done = Promise.all([watching, listen()]).then(() => {})

  const isAside = (): boolean =>
    mode === 'watch' || (status !== undefined && status.standbyFor !== '')

  /** The guard that acts elsewhere, while it is heard. */
  const elsewhere = (): PublishedStatus | undefined => {
    if (!isAside()) return undefined
    const heard = acting !== undefined && Date.now() - acting.summary.at < HEARD_WITHIN_MS
    return heard ? acting : remote.status
  }
  /** Orders are left in files beside it. */
  const requireNear = (code: 'SB_GUARD_ORDER' | 'SB_GUARD_NOT_ASKING'): void => {
    const far = elsewhere()
    if (far === undefined || far === acting) return
    throw new SwitchbackError(code, `${far.name} acts on another machine; nothing was ordered`, {
      hint: 'give the order there: switchback guard with --pause, --promote or --approve, or the page beside it',
    })
  }

  return {
    done,
    read(): GuardReading {
      const other = elsewhere()
      if (other !== undefined) return { ...other.summary, elsewhere: other.name }
      if (failure !== '' || status === undefined) return idle(failure)
      const view = viewOf(status)
      if (lapsed === undefined || mode !== 'watch') return view
      return { ...view, alarms: [goneText(lapsed.name, acting), ...view.alarms] }
    },
    metrics: () => metrics.text(),
    async approve(percent) {
      requireNear('SB_GUARD_NOT_ASKING')
      if (elsewhere() === undefined) guard?.approve(percent)
      else await leaveApproval(files.state, percent)
    },
    async order(order) {
      requireNear('SB_GUARD_ORDER')
      await leaveOrder(files.state, order)
    },
  }
}

/** What a guard on another machine tells, by the clock of this one. */
class RemoteGuard {
  #told: PublishedStatus | undefined
  #heardAt = 0

  hear(told: PublishedStatus | undefined, flag: string): void {
    const now = told?.flag === flag ? told : undefined
    if (now?.summary.at !== this.#told?.summary.at) this.#heardAt = Date.now()
    this.#told = now
  }

  /** While it is heard. */
  get status(): PublishedStatus | undefined {
    if (this.#told === undefined || Date.now() - this.#heardAt >= HEARD_WITHIN_MS) return undefined
    return { ...this.#told, summary: { ...this.#told.summary, at: this.#heardAt } }
  }
}

function goneText(name: string, heard: PublishedStatus | undefined): string {
  const when = heard?.name === name ? `, heard last at ${clock(heard.summary.at)} UTC` : ''
  return `guard-gone: ${name} ended unexpectedly${when}; no guard rolls back now: start it again (switchback guard)`
}

async function create(
  { mode, plan, target, name, env = {}, prometheusToken, say }: GuardBesideOptions,
  onAudit: (entry: AuditEntry) => void,
): Promise<RunningGuard> {
  const dryRun = mode === 'watch'
  const shared = dryRun ? undefined : await sharedNotes(target.file, name, say)
  const options = {
    ...target,
    plan: mode === 'ask' ? { ...plan, advance: 'ask' as const } : plan,
    name,
    env,
    onAudit,
    dryRun,
    ...(prometheusToken === undefined ? {} : { prometheusToken }),
  }
  return createSharedGuard(options, shared)
}

function idle(why: string): GuardReading {
  return {
    mode: 'stopped',
    answer: undefined,
    sentence: `The guard ${why}`,
    metrics: [],
    plan: undefined,
    alarms: [],
    at: Date.now(),
  }
}
