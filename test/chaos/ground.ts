import { readFileSync, writeFileSync } from 'node:fs'
import { closeSync, existsSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Numbers of one process that outlive it, in this order. */
const COUNTERS = [
  'operations',
  'reads',
  'checked',
  'misses',
  'loads',
  'writes',
  'aborted',
  'rejected',
  'slowestUs',
  'grownBytes',
  'moved',
] as const

export type Counts = Record<(typeof COUNTERS)[number], number>

/** What one process may have found to break a promise; see `worker/checked-cache.mjs`. */
export interface Finding {
  readonly kind: string
  /** Which process found it. */
  readonly by: string
  readonly foundAt: number
  readonly key?: string
  /** When the read began. */
  readonly from?: number
  /** Version of the newest write that had been acknowledged before. */
  readonly fresh?: number
  /** When it was acknowledged, if that is still known, */
  readonly freshAt?: number
  /** and of those the newest that the process itself had acknowledged. */
  readonly freshHere?: number
  /** Until when the value may have been the current one. */
  readonly until?: number
  readonly value?: {
    readonly w: number
    readonly n: number
    readonly at: number
    readonly ms: number
    readonly ttl: number
  }
  readonly side?: string
  readonly servedBy?: string
  readonly outcome?: string
  readonly name?: string
  readonly detail?: string
  readonly boundMs?: number
  readonly ms?: number
}

/** Where the truth stands; all files hold numbers of 8 bytes. The processes are told, by {@link Ground}. */
export interface GroundFiles {
  /** A row for each key and each cache, in it a column for each process: see `worker/truth.mjs`. */
  readonly truth: string
  /** The same: when each of them was acknowledged. */
  readonly times: string
  readonly columns: number
  readonly rows: number
  /** The counters of one process after those of the other. */
  readonly counters: string
  readonly counterNames: readonly string[]
  /** For how long each process was stopped by their parent, in milliseconds. */
  readonly stops: string
  /** One for each process: when each of its sets began (below zero), or was acknowledged. */
  readonly acks: readonly string[]
}

/** The new side is out, back, or new, and questions to it that nobody answers: see `worker/connect.mjs`. */
const OUTAGES = /^(\d+)\t(event\t\tside-out|event\t\tside-back|made|unanswered)\t(?!off)/gmu

/** The files through which the processes of a run share the truth, seen by their parent. */
export class Ground {
  readonly logs: string
  readonly files: GroundFiles
  readonly #processes: number
  readonly #stops: Float64Array
  readonly #stopsFile: number
  readonly #seen = new Map<string, number>()

  constructor(logs: string, processes: number, rows: number) {
    this.logs = logs
    this.#processes = processes
    this.files = {
      truth: join(logs, 'truth'),
      times: join(logs, 'times'),
      columns: processes,
      rows,
      counters: join(logs, 'counters'),
      counterNames: COUNTERS,
      stops: join(logs, 'stops'),
      acks: Array.from({ length: processes }, (_, i) => join(logs, `acks.${i}`)),
    }
    const { truth, times, counters, stops, acks } = this.files
    for (const path of [truth, times]) writeFileSync(path, Buffer.alloc(processes * rows * 8))
    writeFileSync(counters, Buffer.alloc(processes * COUNTERS.length * 8))
    writeFileSync(stops, Buffer.alloc(processes * 8))
    for (const path of acks) writeFileSync(path, '')
    this.#stops = new Float64Array(processes)
    this.#stopsFile = openSync(stops, 'r+')
  }

  /** A process was stopped by us for so long: its operations may take longer by that. */
  stopped(index: number, ms: number): void {
    this.#stops[index]! += ms
    const bytes = Buffer.from(this.#stops.buffer, index * 8, 8)
    writeSync(this.#stopsFile, bytes, 0, 8, index * 8)
  }

  counts(): Counts {
    const bytes = readFileSync(this.files.counters)
    const total = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Counts
    for (let process = 0; process < this.#processes; process += 1) {
      COUNTERS.forEach((name, i) => {
        const value = bytes.readDoubleLE((process * COUNTERS.length + i) * 8)
        const most = name === 'slowestUs' || name === 'grownBytes'
        total[name] = most ? Math.max(total[name], value) : total[name] + value
      })
    }
    return total
  }

  /** Those that have come since the last call. */
  findings(ids: readonly string[]): readonly Finding[] {
    return ids.flatMap((id) => {
      const path = join(this.logs, `${id}.findings`)
      if (!existsSync(path)) return []
      const from = this.#seen.get(id) ?? 0
      const text = readFileSync(path).subarray(from).toString()
      const whole = text.slice(0, text.lastIndexOf('\n') + 1)
      this.#seen.set(id, from + Buffer.byteLength(whole))
      return whole
        .split('\n')
        .filter((line) => line.startsWith('{') && line.endsWith('}'))
        .map((line) => ({ ...(JSON.parse(line) as Finding), by: id }))
    })
  }

  /** The longest time, in milliseconds, for which a process stood still between two moments. */
  longestStall(id: string, from: number, to: number): number {
    const stalls = [...this.#records(id).matchAll(/^(\d+)\tstall\t\t(\d+)$/gmu)]
    return Math.max(
      0,
      ...stalls
        .filter(([, at]) => Number(at) >= from && Number(at) <= to)
        .map(([, , ms]) => Number(ms)),
    )
  }

  /** Whether a process could not use the new side at some time of that span: it was out, or did not answer. */
  wasOut(id: string, from: number, to: number): boolean {
    let out = false
    for (const [, when, what] of this.#records(id).matchAll(OUTAGES)) {
      const at = Number(when)
      if (at > to) break
      const goesOut = what === 'event\t\tside-out'
      if (at >= from && (out || goesOut || what === 'unanswered')) return true
      if (what !== 'unanswered') out = goesOut
    }
    return out
  }

  /** When a set was acknowledged; not above zero: it was not. */
  setEnd(index: number, number: number): number {
    const file = openSync(this.files.acks[index]!, 'r')
    const bytes = Buffer.alloc(8)
    readSync(file, bytes, 0, 8, number * 8)
    closeSync(file)
    return bytes.readDoubleLE()
  }

  close(): void {
    closeSync(this.#stopsFile)
  }

  /** What a process has written down, as far as it is kept. */
  #records(id: string): string {
    const paths = ['old.log', 'log'].map((ending) => join(this.logs, `${id}.${ending}`))
    return paths.map((path) => (existsSync(path) ? readFileSync(path, 'utf8') : '')).join('')
  }
}
