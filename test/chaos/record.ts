import { History } from '../support/history.ts'

/** One line of a worker's own measurements. */
export interface Vitals {
  readonly at: number
  readonly rss: number
  readonly heapUsed: number
  /** Open handles and timers. */
  readonly open: number
  /** Microseconds of CPU since its start. */
  readonly cpu: number
  readonly operations: number
  readonly slowest: number
}

export interface TimedOperation {
  readonly endedAt: number
  readonly took: number
}

export interface ChaosRecord {
  readonly history: History
  /** Operations that rejected, with their reason. */
  readonly failed: readonly string[]
  readonly operations: readonly TimedOperation[]
  readonly slowestMs: number
  /** How often each event of the switch was logged. */
  readonly events: Readonly<Record<string, number>>
  readonly warnings: Readonly<Record<string, number>>
  /** Reads by the side that the flag picked and who served them, e.g. `on by off`. */
  readonly served: Readonly<Record<string, number>>
  /** Of each life of each process. */
  readonly vitals: readonly (readonly Vitals[])[]
}

/** Reads the lines that `worker.mjs` wrote. A line torn by a kill is the last of its process. */
export function readRecord(files: readonly string[]): ChaosRecord {
  const reader = new Reader()
  for (const text of files) reader.read(text)
  return reader
}

type Count = Record<string, number>

class Reader implements ChaosRecord {
  readonly history: History = new History()
  readonly failed: string[] = []
  readonly operations: TimedOperation[] = []
  readonly events: Count = {}
  readonly warnings: Count = {}
  readonly served: Count = {}
  readonly vitals: Vitals[][] = []
  slowestMs = 0

  read(text: string): void {
    /** Writes that began and have not ended: their process may have died. */
    const open = new Map<string, { key: string; invokedAt: number; value: string | undefined }>()
    let cpuBefore = Number.POSITIVE_INFINITY
    for (const line of text.split('\n')) {
      const [kind, key = '', ...rest] = line.split('\t')
      const invokedAt = Number(rest[0])
      if (kind === 'set?') open.set(`${rest[1]}`, { key, invokedAt, value: rest[1] })
      else if (kind === 'delete?')
        open.set(`${key} ${invokedAt}`, { key, invokedAt, value: undefined })
      else if (kind === 'set' && rest[2] !== undefined) {
        open.delete(rest[2])
        this.#ended(invokedAt, Number(rest[1]))
        this.history.writes.push({
          key,
          invokedAt,
          acknowledgedAt: Number(rest[1]),
          value: rest[2],
        })
      } else if (kind === 'delete' && rest[1] !== undefined) {
        open.delete(`${key} ${invokedAt}`)
        this.#ended(invokedAt, Number(rest[1]))
        this.history.writes.push({
          key,
          invokedAt,
          acknowledgedAt: Number(rest[1]),
          value: undefined,
        })
      } else if (kind === 'load' && rest[1] !== undefined) {
        this.history.loads.push({ key, at: invokedAt, value: rest[1] })
      } else if (kind === 'read' && rest[4] !== undefined) {
        this.#ended(invokedAt, Number(rest[4]))
        this.history.reads.push({ key, invokedAt, value: rest[1] === '' ? undefined : rest[1] })
        add(this.served, `${rest[2]} by ${rest[3]}`)
      } else if (kind === 'failed') {
        this.failed.push(line)
      } else if (kind === 'event') {
        add(this.events, `${rest[0]} ${rest[1]}`.trim())
      } else if (kind === 'warning') {
        add(this.warnings, rest[0] ?? '')
      } else if (kind === 'vitals' && rest[5] !== undefined) {
        const [rss, heapUsed, handles, cpu, operations, slowest] = rest.map(Number) as Six
        // A fresh process begins to count anew.
        if (cpu < cpuBefore) this.vitals.push([])
        cpuBefore = cpu
        const at = Number(key)
        this.vitals.at(-1)!.push({ at, rss, heapUsed, open: handles, cpu, operations, slowest })
        this.slowestMs = Math.max(this.slowestMs, slowest / 1000)
      }
    }
    for (const write of open.values()) {
      this.history.writes.push({ ...write, acknowledgedAt: undefined })
    }
  }

  #ended(invokedAt: number, endedAt: number): void {
    const took = endedAt - invokedAt
    this.operations.push({ endedAt, took })
    this.slowestMs = Math.max(this.slowestMs, took / 1000)
  }
}

type Six = [number, number, number, number, number, number]

function add(counts: Count, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}
