import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { cpuUsage, memoryUsage } from 'node:process'
import type { IntervalHistogram } from 'node:perf_hooks'
import { counter, gauge, summary } from '../output/families.ts'
import type { Family } from '../output/families.ts'

const WINDOW_MS = 10_000
const RESOLUTION_MS = 10

function late(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000)
}

/**
 * Harm to both sides alike (a blocked event loop, a starved processor), which comparing them cannot
 * show.
 */
export class ProcessHealth {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  #windowStart = performance.now()
  #previous = { p99: 0, max: 0 }

  constructor() {
    this.#delay.enable()
  }

  families(): Family[] {
    const current = this.#read()
    const shown = {
      p99: Math.max(current.p99, this.#previous.p99),
      max: Math.max(current.max, this.#previous.max),
    }
    if (performance.now() - this.#windowStart >= WINDOW_MS) {
      this.#previous = current
      this.#delay.reset()
      this.#windowStart = performance.now()
    }
    const loop = performance.eventLoopUtilization()
    const cpu = cpuUsage()
    return [
      summary(
        'switchback_event_loop_delay_seconds',
        'How late timers fire, over the last 10 to 20 seconds.',
        [
          { labels: { quantile: '0.99' }, value: shown.p99 },
          { labels: { quantile: '1' }, value: shown.max },
        ],
      ),
      counter('switchback_event_loop_seconds_total', 'Time of the event loop by state.', [
        { labels: { state: 'active' }, value: loop.active / 1000 },
        { labels: { state: 'idle' }, value: loop.idle / 1000 },
      ]),
      counter('switchback_cpu_seconds_total', 'Processor time of this process by mode.', [
        { labels: { mode: 'user' }, value: cpu.user / 1e6 },
        { labels: { mode: 'system' }, value: cpu.system / 1e6 },
      ]),
      gauge('switchback_resident_memory_bytes', 'Resident memory of this process.', [
        { labels: {}, value: memoryUsage.rss() },
      ]),
    ]
  }

  close(): void {
    this.#delay.disable()
  }

  /** The monitor measures its own sampling interval too. */
  #read(): { p99: number; max: number } {
    if (this.#delay.count === 0) return { p99: 0, max: 0 }
    return { p99: late(this.#delay.percentile(99)), max: late(this.#delay.max) }
  }
}
