import { setTimeout as sleep } from 'node:timers/promises'
import { isSwitchbackError } from '../../errors.ts'
import { type Answer, evaluationError } from '../users/evaluate.ts'
import { createOfrepClient, type OfrepClient, type Served } from './ofrep-client.ts'
import type { Probe, Probes } from '../users/probes.ts'

export interface ConfirmOptions {
  readonly flag: string
  readonly probes: Probes
  /**
   * flagd's OFREP address.
   * @default 'http://127.0.0.1:8016'
   */
  readonly url?: string
  /**
   * How long to wait for flagd, in ms. Its default watcher polls once a second.
   * @default 5000
   */
  readonly timeoutMs?: number
  /**
   * `performance.now()` from which the times of the result count.
   * @default now
   */
  readonly since?: number
  /**
   * Ask each user once, and do not wait.
   * @default false
   */
  readonly once?: boolean
  readonly signal?: AbortSignal
}

/** Whether flagd serves what was written. */
export interface Confirmation {
  readonly confirmed: boolean
  /** Milliseconds until flagd gave the first user the new answer. */
  readonly servedMs: number | undefined
  /** Milliseconds until the last of the users had the new answer. */
  readonly lastMs: number | undefined
  /** How many users were asked for, and how many of them had to change. */
  readonly probes: number
  readonly movers: number
  /** The likely cause when not confirmed, else `''`. */
  readonly cause: string
  /** What to do about it, else `''`. */
  readonly hint: string
}

const pause = 10
/** Refused for this long, flagd will not be back in time. */
const patienceMs = 1500

/**
 * Asks flagd until it serves what the file says: first for one user who changes sides, then for all
 * probes. Never throws for what flagd does; rejects with the signal's reason only.
 */
export async function confirm(options: ConfirmOptions): Promise<Confirmation> {
  const { flag, probes, url, timeoutMs = 5000, since = performance.now(), signal } = options
  const { once = false } = options
  using client = createOfrepClient({
    ...(url === undefined ? {} : { url }),
    timeoutMs: Math.max(100, Math.min(2000, timeoutMs)),
  })
  const all = [...probes.movers, ...probes.stayers]
  const deadline = performance.now() + timeoutMs
  const start = performance.now()
  let servedMs: number | undefined
  let lastMs: number | undefined
  let open: readonly Probe[] = all
  let last: Outcome = { kind: 'none' }
  const [scout] = all
  const counts = { probes: all.length, movers: probes.movers.length }
  if (scout === undefined) {
    const [cause, hint] = explain(last, flag)
    return { confirmed: false, servedMs, lastMs, ...counts, cause, hint }
  }

  while (performance.now() < deadline) {
    signal?.throwIfAborted()
    const asked = servedMs === undefined ? [scout] : open
    const outcomes = await askAll(client, flag, asked, signal)
    const wrong = asked.filter((probe, index) => !isServed(outcomes[index], probe))
    if (servedMs === undefined && wrong.length === 0) {
      servedMs = performance.now() - since
      open = all
      continue
    }
    if (servedMs !== undefined && wrong.length === 0) {
      lastMs = performance.now() - since
      break
    }
    if (servedMs !== undefined) open = wrong
    last = worst(wrong[0], outcomes[asked.indexOf(wrong[0] ?? scout)])
    if (once) break
    if (last.kind === 'unreachable' && performance.now() - start > patienceMs) break
    await sleep(pause, undefined, signal === undefined ? {} : { signal })
  }
  if (last.kind === 'none') last = { kind: 'no time' }
  const confirmed = lastMs !== undefined
  const [cause, hint] = confirmed ? ['', ''] : explain(last, flag, probes.movers.length === 0)
  return { confirmed, servedMs, lastMs, ...counts, cause, hint }
}

/** Why a probe got another answer; {@link explain} turns it into a sentence. */
type Outcome =
  | { readonly kind: 'none' }
  | { readonly kind: 'no time' }
  | { readonly kind: 'unreachable'; readonly message: string; readonly hint: string }
  | { readonly kind: 'not found' }
  | { readonly kind: 'error'; readonly code: string }
  | { readonly kind: 'old' }
  | { readonly kind: 'other'; readonly got: Answer; readonly expected: Answer }

function isServed(served: Served | Error | undefined, probe: Probe): boolean {
  return served !== undefined && !(served instanceof Error) && served.answer === probe.after
}

function worst(probe: Probe | undefined, served: Served | Error | undefined): Outcome {
  if (probe === undefined || served === undefined) return { kind: 'none' }
  if (served instanceof Error) {
    const hint = isSwitchbackError(served) ? (served.hint ?? '') : ''
    return { kind: 'unreachable', message: served.message, hint }
  }
  if (served.errorCode === 'FLAG_NOT_FOUND') return { kind: 'not found' }
  if (served.answer === evaluationError) return { kind: 'error', code: served.errorCode }
  if (served.answer === probe.before && probe.before !== probe.after) return { kind: 'old' }
  return { kind: 'other', got: served.answer, expected: probe.after }
}

function explain(outcome: Outcome, flag: string, again = false): [cause: string, hint: string] {
  switch (outcome.kind) {
    case 'unreachable':
      return [outcome.message, outcome.hint]
    case 'no time':
      return [
        'the time was up before flagd had answered for all test users',
        'run switchback status, or allow more time with --timeout',
      ]
    case 'not found':
      return [
        `flagd does not know the flag "${flag}"`,
        'it serves another file, or could not read this one: check its log, and run switchback doctor',
      ]
    case 'error':
      return [`flagd answers ${outcome.code}`, 'run switchback validate to see what is wrong']
    case 'old':
      return [
        'flagd still serves the old split',
        'its file watch has failed (restart flagd), the single file is mounted instead of its directory, or it reads another file: run switchback doctor',
      ]
    case 'other':
      return [
        `flagd serves ${again ? 'something other than the file says' : 'neither the old nor the new split'} (${outcome.got} instead of ${outcome.expected})`,
        'it reads another file, or another source overrides this one: run switchback doctor',
      ]
    default:
      return ['no test user could be found for this change', 'run switchback status']
  }
}

/** As {@link askAll}, but one user first: whoever does not answer for that one is asked no more. */
export async function askIfThere(
  client: OfrepClient,
  flag: string,
  probes: readonly Probe[],
  signal?: AbortSignal,
): Promise<(Served | Error)[] | Error> {
  const [scout] = await askAll(client, flag, probes.slice(0, 1), signal)
  if (scout instanceof Error) return scout
  return askAll(client, flag, probes, signal)
}

/** Asks for all users, a few at a time; errors are returned as values. */
export async function askAll(
  client: OfrepClient,
  flag: string,
  probes: readonly Probe[],
  signal?: AbortSignal,
): Promise<(Served | Error)[]> {
  const results: (Served | Error)[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < probes.length; index = next++) {
      const probe = probes[index]
      if (probe === undefined) return
      try {
        results[index] = await client.ask(flag, probe.user, signal)
      } catch (error) {
        signal?.throwIfAborted()
        results[index] = error instanceof Error ? error : new Error(String(error))
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(8, probes.length) }, worker))
  return results
}
