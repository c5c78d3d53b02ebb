import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'vitest'

export interface VictimReport {
  /** For how long its event loop stood still at most since the last report, in milliseconds. */
  readonly longestStallMs: number
  /** Prototypes that have changed since it started. */
  readonly polluted: readonly unknown[]
  /** Bytes of resident memory. */
  readonly rss: number
}

/** A process of the product under attack, which dies with this one. */
export interface Victim extends AsyncDisposable {
  readonly alive: boolean
  /** All that it has written so far. */
  output(): string
  report(): Promise<VictimReport>
  /** It lives, no prototype has changed, and it has complained of nothing that it should have caught. */
  expectUnharmed(): Promise<VictimReport>
}

const PROBE = new URL('stall-probe.mjs', import.meta.url).href
const START_DEADLINE_MS = 20_000

/** Runs `switchback` with these arguments until its output matches `ready`. */
export async function startVictim(args: readonly string[], ready: RegExp): Promise<Victim> {
  const child = spawn(process.execPath, ['--import', PROBE, 'dist/cli/bin.js', ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, SWITCHBACK_SEED: '', SWITCHBACK_RUNS: '' },
  })
  const parentGone = (): void => void child.kill('SIGKILL')
  process.once('exit', parentGone)
  child.once('exit', () => process.off('exit', parentGone))
  let text = ''
  const started = new Promise<void>((resolve, reject) => {
    const take = (chunk: string): void => {
      // Logs of millions of requests are not kept.
      text = text.length > 1_000_000 ? text.slice(-500_000) + chunk : text + chunk
      if (ready.test(text)) resolve()
    }
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', take)
    child.once('exit', () => reject(new Error(`ended at its start: ${text}`)))
    setTimeout(() => reject(new Error(`not ready: ${text}`)), START_DEADLINE_MS).unref()
  })
  const alive = (): boolean => child.exitCode === null && child.signalCode === null
  const kill = async (): Promise<void> => {
    if (!alive()) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  try {
    await started
  } catch (error) {
    await kill()
    throw error
  }
  const report = async (): Promise<VictimReport> => {
    expect(alive(), `it died:\n${text.slice(-4000)}`).toBe(true)
    const answer = once(child, 'message', { signal: AbortSignal.timeout(10_000) })
    child.send('report')
    return ((await answer) as [VictimReport])[0]
  }
  return {
    get alive() {
      return alive()
    },
    output: () => text,
    report,
    async expectUnharmed() {
      const found = await report()
      expect(found.polluted).toEqual([])
      expect(text).not.toMatch(/unhandled|MaxListenersExceeded|uncaught/i)
      return found
    },
    [Symbol.asyncDispose]: kill,
  }
}
