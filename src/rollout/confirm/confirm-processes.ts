import { setMaxListeners } from 'node:events'
import {
  type ProcessesOptions,
  type ProcessReading,
  type ProcessSource,
  processSources,
} from '../../scrape/index.ts'
import type { Expectation } from '../users/expectation.ts'
import { judgeProcess, type ProcessVerdict } from './judge-process.ts'
import { AskingPace } from './asking-pace.ts'

export interface ConfirmProcessesOptions {
  readonly flag: string
  readonly processes: ProcessesOptions
  /** What they must decide. */
  readonly expected: Expectation
  /** What they decided before, to report that a lagging process is still on it. */
  readonly before?: Expectation | undefined
  /**
   * How long to wait, in ms.
   * @default 5000; 45000 with a Prometheus, which scrapes the processes only now and then
   */
  readonly timeoutMs?: number
  /**
   * `performance.now()` from which the times of the result count.
   * @default now
   */
  readonly since?: number
  /**
   * Ask each process once, and do not wait.
   * @default false
   */
  readonly once?: boolean
  /** Called once when a process still lags after a second and a half. */
  readonly onLag?: (so: ProcessConfirmation) => void
  readonly signal?: AbortSignal
  /** Aborted when waiting has become pointless, e.g. because flagd is gone. */
  readonly hurry?: AbortSignal
}

/** Whether every process of the application decides what was written. */
export interface ProcessConfirmation {
  readonly confirmed: boolean
  /** How many processes are known, and how many of them decide it. */
  readonly known: number
  readonly deciding: number
  /** Milliseconds until the last of them decided it; `undefined` while one lags. */
  readonly lastMs: number | undefined
  /** How many of those that decide it are compared by a sample only. */
  readonly samples: number
  /** The processes that do not decide it, and why. */
  readonly lagging: readonly ProcessVerdict[]
  /**
   * What the caches did while the processes were asked; `undefined` where no operation was seen.
   */
  readonly traffic: SeenTraffic | undefined
  /** Those whose new side does not answer them, whatever they decide, and its name. */
  readonly newSideDown: readonly { readonly process: string; readonly newSide: string }[]
}

/** The operations of the last moments before the end. */
export interface SeenTraffic {
  /** Share of the operations that went to the new side, 0 to 1. */
  readonly onShare: number
  /** The name of the new side's backend, e.g. `redis`; `''` where it is unknown. */
  readonly newSide: string
}

/** A process that is silent for this long is reported, and not waited for when all others agree. */
const PATIENCE_MS = 1500

/**
 * Asks every process until it decides what the file says. Each has its own loop, so that one that
 * hangs delays no other. One is asked often; the others hardly until one has it, and then at once: a fleet
 * that is asked all the time gets its flags later. Never throws for what a process does; an abort ends it with what is known.
 *
 * @throws {SwitchbackError} `SB_METRICS_URL_INVALID`
 */
export async function confirmProcesses(
  options: ConfirmProcessesOptions,
): Promise<ProcessConfirmation> {
  const { processes, since = performance.now(), signal } = options
  const sources = await processSources({ ...processes, ...capped(options) })
  const roll = new RollCall(sources, options)
  const start = performance.now()
  const end = new AbortController()
  // Each process that is asked listens to it, and Node.js warns from eleven on.
  setMaxListeners(0, end.signal)
  const pace = new AskingPace(sources.length)
  const stop = (): void => {
    end.abort()
    pace.wake()
  }
  const timeoutMs = options.timeoutMs ?? (sources.some(({ slow }) => slow) ? 45_000 : 5000)
  const timers = [
    setTimeout(stop, options.once === true ? PATIENCE_MS + 500 : timeoutMs),
    setTimeout(() => {
      void giveUp().then(() => {
        if (!end.signal.aborted) options.onLag?.(roll.result(undefined))
      })
    }, PATIENCE_MS + 50),
  ]
  const giveUp = async (): Promise<void> => {
    for (const source of sources) {
      if (roll.isSilent(source) && (await source.gone())) roll.leave(source)
    }
    if (roll.isComplete || roll.onlySilentLag) stop()
  }
  for (const each of [signal, options.hurry]) {
    if (each?.aborted === true) stop()
    each?.addEventListener('abort', stop, { once: true })
  }
  let lastMs: number | undefined
  let scout: ProcessSource | undefined
  const loop = async (source: ProcessSource): Promise<void> => {
    let pause = 0
    while (!end.signal.aborted) {
      const asked = performance.now()
      await roll.ask(source, end.signal)
      if (roll.agrees(source)) {
        lastMs = performance.now() - since
        pace.arrived()
        break
      }
      if (options.once === true) break
      const waited = performance.now() - start
      if (waited > PATIENCE_MS) await giveUp()
      if (end.signal.aborted) break
      if (!roll.isSilent(source) && !source.slow) scout ??= source
      const first = scout === source && waited < PATIENCE_MS
      pause = pace.next(pause, performance.now() - asked, first)
      if (await pace.rest(pause)) pause = 0
    }
    if (performance.now() - start > PATIENCE_MS) await giveUp()
  }
  try {
    await Promise.all(sources.map(loop))
  } finally {
    for (const timer of timers) clearTimeout(timer)
    for (const each of [signal, options.hurry]) each?.removeEventListener('abort', stop)
  }
  return roll.result(lastMs)
}

/** No answer is waited for longer than the remaining time. */
function capped({ timeoutMs = PATIENCE_MS }: ConfirmProcessesOptions): { timeoutMs: number } {
  return { timeoutMs: Math.max(100, Math.min(PATIENCE_MS, timeoutMs)) }
}

interface Traffic {
  /** Since the process began, and since it was asked before. */
  readonly total: ProcessReading['operations']
  readonly since: ProcessReading['operations']
  readonly newSide: string
}

/** The answers so far. */
class RollCall {
  readonly #options: ConfirmProcessesOptions
  readonly #writtenAt: number
  readonly #verdicts: Map<ProcessSource, readonly ProcessVerdict[]>
  /** Those whose first answer, or its deadline, is still to come. */
  readonly #unheard: Set<ProcessSource>
  /** By instance, so that one process under two names is counted once. */
  readonly #owner = new Map<string, ProcessSource>()
  readonly #traffic = new Map<ProcessSource, Traffic>()

  constructor(sources: readonly ProcessSource[], options: ConfirmProcessesOptions) {
    this.#options = options
    const { since = performance.now() } = options
    this.#writtenAt = Date.now() - (performance.now() - since)
    this.#verdicts = new Map(sources.map((source) => [source, [unheard(source)]]))
    this.#unheard = new Set(sources)
  }

  async ask(source: ProcessSource, signal: AbortSignal): Promise<void> {
    const { flag, once = false } = this.#options
    const answers = await source.read(flag, signal)
    // Cut off by the end of the wait, it says nothing about the process.
    if (signal.aborted) return
    const verdicts: ProcessVerdict[] = []
    for (const answer of answers) {
      const instance = answer.reading?.instance ?? ''
      if (instance !== '') {
        const owner = this.#owner.get(instance) ?? source
        if (owner !== source) continue
        this.#owner.set(instance, source)
      }
      if (answer.reading !== undefined && !source.slow) this.#count(source, answer.reading)
      const verdict = judgeProcess(answer, this.#options)
      const old = source.slow && !once && answer.at < this.#writtenAt
      verdicts.push(old ? notYetScraped(verdict) : verdict)
    }
    this.#unheard.delete(source)
    this.#verdicts.set(source, verdicts)
  }

  /** What it did since it was asked before. */
  #count(source: ProcessSource, { operations, newSide }: ProcessReading): void {
    const last = this.#traffic.get(source)?.total ?? operations
    const since = { off: operations.off - last.off, on: operations.on - last.on }
    this.#traffic.set(source, { total: operations, since, newSide })
  }

  leave(source: ProcessSource): void {
    this.#unheard.delete(source)
    this.#verdicts.delete(source)
    this.#traffic.delete(source)
  }

  agrees(source: ProcessSource): boolean {
    return (this.#verdicts.get(source) ?? []).every((verdict) => verdict.agrees)
  }

  isSilent(source: ProcessSource): boolean {
    return (this.#verdicts.get(source) ?? []).every((verdict) => verdict.silent)
  }

  get isComplete(): boolean {
    return this.#all.every(({ agrees }) => agrees)
  }

  /** Whether all answers agree while some process does not answer or does not know. */
  get onlySilentLag(): boolean {
    if (this.#unheard.size > 0) return false
    const told = this.#all.filter(({ on, pending }) => on !== undefined || pending)
    return !this.isComplete && told.every(({ agrees }) => agrees)
  }

  result(lastMs: number | undefined): ProcessConfirmation {
    const all = this.#all
    const deciding = all.filter(({ agrees }) => agrees)
    const lagging = all.filter(({ agrees }) => !agrees)
    return {
      confirmed: all.length > 0 && lagging.length === 0,
      known: all.length,
      deciding: deciding.length,
      lastMs: lagging.length === 0 ? lastMs : undefined,
      samples: deciding.filter(({ sample }) => sample).length,
      lagging,
      traffic: this.#seen,
      newSideDown: all.flatMap(({ process, newSideDown: newSide }) =>
        newSide === undefined ? [] : [{ process, newSide }],
      ),
    }
  }

  get #seen(): SeenTraffic | undefined {
    let [off, on] = [0, 0]
    let newSide = ''
    for (const { since, newSide: name } of this.#traffic.values()) {
      off += Math.max(0, since.off)
      on += Math.max(0, since.on)
      newSide ||= name
    }
    return off + on === 0 ? undefined : { onShare: on / (off + on), newSide }
  }

  get #all(): ProcessVerdict[] {
    return [...this.#verdicts.values()].flat()
  }
}

function unheard({ name }: ProcessSource): ProcessVerdict {
  return {
    process: name,
    agrees: false,
    silent: true,
    pending: false,
    cause: 'does not answer',
    probes: undefined,
    on: undefined,
    sample: false,
    refuses: '',
    newSideDown: undefined,
  }
}

function notYetScraped(verdict: ProcessVerdict): ProcessVerdict {
  const cause = 'was not scraped by Prometheus since the change'
  return { ...verdict, agrees: false, silent: false, cause }
}
