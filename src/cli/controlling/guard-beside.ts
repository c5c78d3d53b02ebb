import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../../errors.ts'
import type { GuardReading, GuardView } from '../../control/index.ts'
import { createGuard, type Guard, type GuardStatus, type Plan, viewOf } from '../../guard/index.ts'
import type { Target } from '../target.ts'

/**
 * What the guard of the control page may do: `act` changes the split, `ask` widens only after an
 * approval, `watch` shows the evidence and changes nothing.
 */
export type GuardMode = 'act' | 'ask' | 'watch'

export interface GuardBesideOptions {
  readonly mode: GuardMode
  readonly plan: Plan
  readonly target: Pick<Target, 'flag' | 'file' | 'flagd'>
  /** E.g. `guard of ann@host`. */
  readonly name: string
  readonly prometheusToken?: string | undefined
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
  let guard: Guard | undefined
  let status: GuardStatus | undefined
  let failure = 'is starting'

  const runOnce = async (): Promise<void> => {
    const over = new AbortController()
    guard = create(options)
    try {
      await guard.run(AbortSignal.any([signal, over.signal]), (now) => {
        status = now
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
  const done = (async () => {
    while (!signal.aborted) await runOnce()
  })()

  return {
    done,
    read(): GuardReading {
      if (failure !== '' || status === undefined) return idle(failure)
      return { ...viewOf(status), awaiting: status.awaiting }
    },
    approve: (percent) => guard?.approve(percent),
  }
}

function create({ mode, plan, target, name, prometheusToken }: GuardBesideOptions): Guard {
  return createGuard({
    ...target,
    plan: mode === 'ask' ? { ...plan, advance: 'ask' } : plan,
    name,
    dryRun: mode === 'watch',
    ...(prometheusToken === undefined ? {} : { prometheusToken }),
  })
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
