import { isSwitchbackError, messageOf } from '../../errors.ts'
import {
  compareServed,
  concerns,
  describe,
  type Description,
  editedOutside,
  type Finding,
  type FlagsDocument,
  type FlagsFile,
  type HistoryEntry,
  HistoryWatch,
  readFlags,
  readText,
  refusalIn,
  troubleOf,
} from '../../rollout/index.ts'

export interface FlagWatchOptions {
  readonly file: FlagsFile
  readonly flag: string
  /** flagd's OFREP address; `false`: it is not asked. */
  readonly flagd: string | false
  /** Called when the file or its history changed. */
  readonly onChange: () => void
}

/** The flag according to the file, and what flagd serves. */
export interface FlagReading {
  readonly name: string
  readonly file: string
  /** SHA-256 of the file; `''` while it cannot be read. */
  readonly hash: string
  /** The last description that could be made; `null` without one. */
  readonly description: FlagDescription | null
  /** Why the file cannot be read or understood, or flagd refuses it; `null` when all is well. */
  readonly error: { readonly code: string; readonly message: string; readonly hint: string } | null
  /** Why what was read may not be what all others have, or could not be changed; `''` where all is well. */
  readonly trouble: string
  readonly served: ServedReading
  /** The last change, when it was made by hand or by another tool; `null` when a command made it. */
  readonly edited: EditedReading | null
}

export interface EditedReading {
  /** Epoch milliseconds at which it was seen. */
  readonly at: number
  /** The users it moved who should have stayed; `''` when none. */
  readonly warning: string
  /** Why it is not in the history beside the file; `''` when it is. */
  readonly unwritten: string
}

export type FlagDescription = Pick<
  Description,
  'state' | 'shape' | 'share' | 'defaultVariant' | 'sentence'
> & {
  readonly pilots: number
  /** Why no app can use the flag, and what to write instead; `''` where one can. */
  readonly problem: string
}

export interface ServedReading {
  /** `unknown`: not asked yet; `unasked`: flagd is not used. */
  readonly state: 'same' | 'different' | 'unreachable' | 'unknown' | 'unasked'
  readonly url: string
  readonly detail: string
  readonly probes: number
  readonly agreeing: number
  /** Epoch milliseconds since when the state is unchanged. */
  readonly since: number
}

const INTERVAL_MS = 1000
/** flagd is asked at least this often. */
const SLOWEST_MS = 2000
/** An answer of flagd that is older than this says nothing of now. */
const HEARD_MS = 5000
const PROBES = 12

/**
 * Looks at the flags file, its history and flagd once a second. A broken file or a dead flagd does
 * not stop it, since the page has to show that.
 */
export class FlagWatch {
  readonly #options: FlagWatchOptions
  readonly #stop = new AbortController()
  #document: FlagsDocument | undefined
  /** Why flagd refuses the document; `null` when it accepts it. */
  #refused: FlagReading['error'] = null
  #description: FlagDescription | null = null
  #error: FlagReading['error'] = null
  readonly #historyWatch: HistoryWatch
  #history: readonly HistoryEntry[] = []
  #unwritten = ''
  #served: ServedReading
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #changedAt = Date.now()
  /** `performance.now()` from which flagd may be asked again. */
  #askAt = 0
  /** Epoch milliseconds of flagd's last answer. */
  #heardAt = 0

  constructor(options: FlagWatchOptions) {
    this.#options = options
    const { flagd, file } = options
    this.#historyWatch = new HistoryWatch({ file })
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
      file: String(file),
      hash: this.#document?.hash ?? '',
      description: this.#description,
      error: this.#error,
      trouble: troubleOf(file),
      served: this.#heard(),
      edited: this.#edited(),
    }
  }

  /** The file as it was last read; `undefined` before it could be. */
  get document(): FlagsDocument | undefined {
    return this.#document
  }

  /** Epoch milliseconds since when the file is unchanged. */
  get changedAt(): number {
    return this.#changedAt
  }

  /** Changes of this flag, oldest first. */
  get history(): readonly HistoryEntry[] {
    return this.#history
  }

  /** Looks at the file and its history at once, after a change. */
  async look(): Promise<void> {
    // Two looks at the same time could finish in the wrong order.
    while (this.#looking !== undefined) await this.#looking
    if (this.#stop.signal.aborted) return
    this.#looking = this.#look()
    try {
      await this.#looking
    } finally {
      this.#looking = undefined
    }
  }

  /** Resolves when nothing is written any more. */
  async close(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#timer)
    while (this.#looking !== undefined) await this.#looking
  }

  async #run(): Promise<void> {
    const started = performance.now()
    await this.look()
    if (this.#stop.signal.aborted) return
    // A flagd that hangs must not delay the display of an edit.
    if (performance.now() >= this.#askAt) void this.#ask()
    const rest = Math.max(100, INTERVAL_MS - (performance.now() - started))
    this.#timer = setTimeout(() => void this.#run(), rest).unref()
  }

  async #look(): Promise<void> {
    const { file, flag, onChange } = this.#options
    const before = this.#signature()
    try {
      const text = await readText(file)
      const known = this.#document
      const document = known?.text === text ? known : readFlags(text)
      if (document !== known) this.#replace(document)
      this.#description = shortOf(describe(document, flag))
      this.#error = this.#refused
      await this.#readHistory(document)
    } catch (error) {
      this.#error = isSwitchbackError(error)
        ? { code: error.code, message: error.message, hint: error.hint ?? '' }
        : { code: '', message: messageOf(error), hint: '' }
    }
    if (this.#signature() !== before) onChange()
  }

  /** flagd's answers about the file before do not concern this one. */
  #replace(document: FlagsDocument): void {
    this.#document = document
    this.#changedAt = Date.now()
    const refusal = refusalIn(document.text)
    this.#refused = refusal === undefined ? null : errorOf(refusal)
    if (this.#served.state === 'unasked') return
    this.#served = { ...this.#served, state: 'unknown', detail: '', since: Date.now() }
    this.#askAt = 0
  }

  /** Also writes edits by hand into it. */
  async #readHistory(document: FlagsDocument): Promise<void> {
    const { entries, unwritten } = await this.#historyWatch.look(document)
    this.#history = entries.filter((entry) => concerns(entry, this.#options.flag))
    this.#unwritten = unwritten
  }

  /** That it served the file a while ago is not known of now. */
  #heard(): ServedReading {
    const silent = Date.now() - this.#heardAt
    if (this.#served.state !== 'same' || silent <= HEARD_MS) return this.#served
    const detail = `no answer for ${Math.round(silent / 1000)} s`
    return { ...this.#served, state: 'unknown', detail, since: this.#heardAt }
  }

  #edited(): FlagReading['edited'] {
    const last = editedOutside(this.#history, this.#options.flag)
    if (last === undefined) return null
    const { at, warning = '' } = last
    return { at: Date.parse(at), warning, unwritten: this.#unwritten }
  }

  #signature(): string {
    const last = this.#history.at(-1)
    return `${this.#document?.hash} ${this.#error?.message} ${this.#history.length} ${last?.id}`
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
      this.#heardAt = Date.now()
      const since = state === this.#served.state ? this.#served.since : Date.now()
      this.#served = { state, url: flagd, detail, probes, agreeing, since }
    } catch (error) {
      if (this.#stop.signal.aborted) return
      const detail = messageOf(error)
      const since = this.#served.state === 'unknown' ? this.#served.since : Date.now()
      this.#served = { state: 'unknown', url: flagd, detail, probes: 0, agreeing: 0, since }
    } finally {
      // Users beside the boundary of a very small share are rare: finding them takes time.
      const now = performance.now()
      if (document === this.#document) this.#askAt = now + Math.min(SLOWEST_MS, 9 * (now - started))
    }
  }
}

function shortOf(description: Description): FlagDescription {
  const { state, shape, share, defaultVariant, sentence, pilots, problem } = description
  const why = problem === undefined ? '' : `${problem.message}; ${problem.hint}`
  const known = { state, shape, share, defaultVariant, sentence }
  return { ...known, pilots: pilots.length, problem: why }
}

function errorOf({ line, column, message, fix }: Finding): FlagReading['error'] {
  const text = `line ${line}, column ${column}: ${message}`
  return { code: 'SB_FLAGS_REFUSED', message: text, hint: fix }
}
