import { oneLine } from '../../errors.ts'

export interface BreakerOptions {
  /** How many of the latest operations count, at most 31. @default 10 */
  readonly window?: number
  /** How many of them must have failed for the breaker to open. @default 5 */
  readonly failures?: number
  /**
   * Milliseconds between probes while open; jittered by a quarter. Doubled, up to 5 s, each time
   * that it opens within 5 s of closing: a side may answer probes and little else (a Redis without
   * memory answers reads). @default 250
   */
  readonly probeIntervalMs?: number
}

export interface BreakerParts extends BreakerOptions {
  /** One request that proves the side can serve; it rejects, or takes no longer than the deadline. */
  readonly probe: () => Promise<void>
  /** @param why the last failure, in one line */
  readonly onOpen: (why: string) => void
  readonly onClose: (outMs: number) => void
}

/** Closed for this long, the side counts as healthy. */
const STEADY_MS = 5000
const LONGEST_INTERVAL_MS = 5000

/**
 * Spares callers the wait for a side that fails, and spares that side their requests. It concerns
 * latency and memory only: the ledger keeps the two sides coherent, so each process may open and
 * close it at any time. The window counts operations instead of seconds: it opens after the same
 * number of failures under heavy and light traffic.
 */
export class Breaker {
  readonly #parts: Required<BreakerParts>
  readonly #mask: number
  /** Epoch milliseconds since when it is open; 0 while it is closed. */
  outSince = 0
  /** In one line. */
  lastFailure = ''
  /** How many operations have ended; it only grows. */
  outcomes = 0
  #recent = 0
  #open = false
  #intervalMs: number
  #closedAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(parts: BreakerParts) {
    this.#parts = { window: 10, failures: 5, probeIntervalMs: 250, ...parts }
    this.#mask = 2 ** this.#parts.window - 1
    this.#intervalMs = this.#parts.probeIntervalMs
  }

  get open(): boolean {
    return this.#open
  }

  succeeded(): void {
    this.outcomes += 1
    this.#recent = (this.#recent << 1) & this.#mask
  }

  failed(error: unknown): void {
    this.outcomes += 1
    this.lastFailure = oneLine(error)
    this.#recent = ((this.#recent << 1) | 1) & this.#mask
    if (!this.#open && countBits(this.#recent) >= this.#parts.failures) this.trip(error)
  }

  /** Opens at once. */
  trip(error: unknown): void {
    if (this.#open || this.#closed) return
    this.#open = true
    this.outSince = Date.now()
    this.lastFailure = oneLine(error)
    const { probeIntervalMs } = this.#parts
    const flaps = performance.now() - this.#closedAt < STEADY_MS
    this.#intervalMs = flaps
      ? Math.min(this.#intervalMs * 2, Math.max(LONGEST_INTERVAL_MS, probeIntervalMs))
      : probeIntervalMs
    this.#parts.onOpen(this.lastFailure)
    this.#schedule()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    if (this.#closed) return
    const wait = this.#intervalMs * (0.75 + Math.random() / 2)
    this.#timer = setTimeout(() => void this.#probe(), wait).unref()
  }

  async #probe(): Promise<void> {
    try {
      await this.#parts.probe()
    } catch {
      this.#schedule()
      return
    }
    if (this.#closed) return
    this.#recent = 0
    this.#open = false
    const outMs = Date.now() - this.outSince
    this.outSince = 0
    this.#closedAt = performance.now()
    this.#parts.onClose(outMs)
  }
}

function countBits(bits: number): number {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1
  return count
}
