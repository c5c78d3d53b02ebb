import { stat } from 'node:fs/promises'
import { isSwitchbackError, messageOf } from '../errors.ts'
import {
  compareServed,
  describe,
  type Description,
  type FlagsDocument,
  historyFile,
  type HistoryEntry,
  locate,
  readFlags,
  readHistory,
  readText,
} from '../rollout/index.ts'

export interface FlagWatchOptions {
  readonly file: string
  readonly flag: string
  /** flagd's OFREP address; `false`: it is not asked. */
  readonly flagd: string | false
  /** Called when the file or its history changed. */
  readonly onChange: () => void
}

/** The flag as the file has it, and what flagd makes of it. */
export interface FlagReading {
  readonly name: string
  readonly file: string
  /** SHA-256 of the file; `''` while it cannot be read. */
  readonly hash: string
  /** The last description that could be made; `null` when there never was one. */
  readonly description: FlagDescription | null
  /** Why the file cannot be read or understood now; `null` when it can. */
  readonly error: { readonly code: string; readonly message: string; readonly hint: string } | null
  readonly served: ServedReading
}

export type FlagDescription = Pick<
  Description,
  'state' | 'shape' | 'share' | 'defaultVariant' | 'sentence'
> & { readonly pilots: number }

export interface ServedReading {
  /** `unknown`: not asked yet; `unasked`: it shall not be asked. */
  readonly state: 'same' | 'different' | 'unreachable' | 'unknown' | 'unasked'
  readonly url: string
  readonly detail: string
  readonly probes: number
  readonly agreeing: number
  /** Epoch milliseconds since when the state is what it is. */
  readonly since: number
}

const INTERVAL_MS = 1000
/** flagd is asked at least this often. */
const SLOWEST_MS = 5000
const PROBES = 12

/**
 * Looks at the flags file, its history and flagd once a second. It never stops for what it finds: a
 * broken file or a dead flagd is what the page has to show.
 */
export class FlagWatch {
  readonly #options: FlagWatchOptions
  readonly #stop = new AbortController()
  #document: FlagsDocument | undefined
  #description: FlagDescription | null = null
  #error: FlagReading['error'] = null
  #history: readonly HistoryEntry[] = []
  #historySignature = ''
  #served: ServedReading
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  /** `performance.now()` from which flagd may be asked again. */
  #askAt = 0

  constructor(options: FlagWatchOptions) {
    this.#options = options
    const { flagd } = options
    this.#served = {
      state: flagd === false ? 'unasked' : 'unknown',
      url: flagd === false ? '' : flagd,
      detail: '',
      probes: 0,
      agreeing: 0,
      since: Date.now(),
    }
  }

  /** Resolves after the first look at the file; flagd is asked in the background. */
  async start(): Promise<void> {
    await this.look()
    void this.#run()
  }

  read(): FlagReading {
    const { file, flag } = this.#options
    return {
      name: flag,
      file,
      hash: this.#document?.hash ?? '',
      description: this.#description,
      error: this.#error,
      served: this.#served,
    }
  }

  /** Changes of this flag, oldest first. */
  get history(): readonly HistoryEntry[] {
    return this.#history
  }

  /** Looks at the file and its history at once: somebody has just changed it. */
  async look(): Promise<void> {
    // Two looks at a time could finish in the wrong order.
    while (this.#looking !== undefined) await this.#looking
    this.#looking = this.#look()
    try {
      await this.#looking
    } finally {
      this.#looking = undefined
    }
  }

  close(): void {
    this.#stop.abort()
    clearTimeout(this.#timer)
  }

  async #run(): Promise<void> {
    const started = performance.now()
    await this.look()
    // A flagd that hangs must not keep an edit from being seen.
    if (performance.now() >= this.#askAt) void this.#ask()
    if (this.#stop.signal.aborted) return
    const rest = Math.max(100, INTERVAL_MS - (performance.now() - started))
    this.#timer = setTimeout(() => void this.#run(), rest).unref()
  }

  async #look(): Promise<void> {
    const { file, flag, onChange } = this.#options
    const before = `${this.#document?.hash} ${this.#error?.message} ${this.#historySignature}`
    try {
      const text = await readText(file)
      const known = this.#document
      const document = known?.text === text ? known : readFlags(text)
      if (document !== known) this.#replace(document)
      const { pilots, ...description } = describe(document, flag)
      const { state, shape, share, defaultVariant, sentence } = description
      this.#description = { state, shape, share, defaultVariant, sentence, pilots: pilots.length }
      this.#error = null
      await this.#readHistory()
    } catch (error) {
      this.#error = isSwitchbackError(error)
        ? { code: error.code, message: error.message, hint: error.hint ?? '' }
        : { code: '', message: messageOf(error), hint: '' }
    }
    const after = `${this.#document?.hash} ${this.#error?.message} ${this.#historySignature}`
    if (after !== before) onChange()
  }

  /** What flagd was asked about the file before says nothing about this one. */
  #replace(document: FlagsDocument): void {
    this.#document = document
    if (this.#served.state === 'unasked') return
    this.#served = { ...this.#served, state: 'unknown', detail: '', since: Date.now() }
    this.#askAt = 0
  }

  async #readHistory(): Promise<void> {
    const { file } = await locate(this.#options.file)
    const signature = await stat(historyFile(file)).then(
      ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
      () => '',
    )
    if (signature === this.#historySignature) return
    this.#historySignature = signature
    const { flag } = this.#options
    const all = await readHistory(file)
    this.#history = all.filter((entry) => entry.flag === flag || entry.flag === '')
  }

  async #ask(): Promise<void> {
    const { flag, flagd } = this.#options
    const document = this.#document
    if (flagd === false || document === undefined) return
    const started = performance.now()
    this.#askAt = Infinity
    try {
      const { state, detail, probes, agreeing } = await compareServed(document, {
        flag,
        url: flagd,
        probes: PROBES,
        timeoutMs: 1500,
        signal: this.#stop.signal,
      })
      if (document !== this.#document) return
      const since = state === this.#served.state ? this.#served.since : Date.now()
      this.#served = { state, url: flagd, detail, probes, agreeing, since }
    } catch (error) {
      if (this.#stop.signal.aborted) return
      const detail = messageOf(error)
      const since = this.#served.state === 'unknown' ? this.#served.since : Date.now()
      this.#served = { state: 'unknown', url: flagd, detail, probes: 0, agreeing: 0, since }
    } finally {
      // Users beside the boundary of a very small share are rare: finding them takes its time.
      const now = performance.now()
      if (document === this.#document) this.#askAt = now + Math.min(SLOWEST_MS, 9 * (now - started))
    }
  }
}
