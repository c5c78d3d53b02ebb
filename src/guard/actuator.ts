import {
  changeBack,
  changeShare,
  compareServed,
  confirmProcesses,
  describe,
  editedOutside,
  expectationOf,
  HistoryWatch,
  loadFlags,
} from '../rollout/index.ts'
import type { ChangeResult } from '../rollout/index.ts'
import type { ProcessesOptions } from '../scrape/index.ts'

/** The guard's hands: everything that it can do to the flags file. */
export interface Actuator {
  read(): Promise<Split>
  /** Rejects when the share is no longer `from`: somebody else was faster. */
  setShare(percent: number, from: number, reason: string): Promise<Effect>
  /** Everybody back to `off`, however many others are editing. */
  rollBack(reason: string): Promise<Effect>
  /** Whether flagd and the replicas follow the file; `undefined` when none can be asked. */
  served(): Promise<{ readonly same: boolean | undefined; readonly detail: string }>
}

export interface Split {
  /** Share of `on` in per cent; undefined when the rule is not understood. */
  readonly percent: number | undefined
  /** Nothing but a split: the share of users seen must be the share set. */
  readonly plain: boolean
  readonly detail: string
  /** The rule asks for the time: the share changes without an edit. @default false */
  readonly moving?: boolean
  /** What an edit by hand did to users who should have stayed; `''` when there was none. */
  readonly edited: string
}

/** What became of a change. */
export interface Effect {
  /** Whether flagd serves it and every replica decides it; undefined when none was asked. */
  readonly confirmed: boolean | undefined
  /** Milliseconds until the last of the users asked for had the new answer. */
  readonly lastMs: number | undefined
  /** For people: why it is not confirmed, or what to mind. '' when all is well. */
  readonly detail: string
}

export interface FlagsActuatorOptions {
  readonly file: string
  readonly flag: string
  /** flagd's OFREP address; `false` does not ask it. @default that of the rollout room */
  readonly flagd?: string | false
  /** The replicas, each of which must decide a change before it is done. @default none are asked */
  readonly processes?: ProcessesOptions
  /** Stands in the history. @default 'guard' */
  readonly who?: string
  /** Whether edits by hand are written into the history. @default true */
  readonly record?: boolean
}

/** A replica of an older version never tells what it decides: named, but no reason to hold. */
function effectOf({ applied, confirmation, processes, ...result }: ChangeResult): Effect {
  const missing = (processes?.lagging ?? []).some(
    ({ on, silent, pending }) => on !== undefined || silent || pending,
  )
  const all = confirmation?.confirmed !== false && !missing
  const confirmed = result.confirmed === undefined ? undefined : all
  const lagging = (processes?.lagging ?? []).map(({ process, cause }) => `${process} ${cause}`)
  const details = [confirmation?.cause, ...lagging, confirmation?.hint, applied?.warning]
  const times = [confirmation?.lastMs, processes?.lastMs].filter((ms) => ms !== undefined)
  return {
    confirmed,
    lastMs: confirmed === true && times.length > 0 ? Math.max(...times) : confirmation?.lastMs,
    detail: details.filter((detail) => detail !== undefined && detail !== '').join('; '),
  }
}

/** Works on a flags file through the rollout room: validated, compare-and-swap, confirmed. */
export function flagsActuator(options: FlagsActuatorOptions): Actuator {
  const { file, flag, flagd, processes, record = true } = options
  const history = new HistoryWatch({ file, record })
  // A Prometheus tells of a change when it has scraped next: until then nobody would watch. It is asked
  // at each look instead.
  const metrics = processes?.metrics ?? []
  const base = { file, flag, processes: { metrics }, ...(flagd === undefined ? {} : { flagd }) }
  const by = (reason: string): { who: string; via: string; reason: string } => ({
    who: options.who ?? 'guard',
    via: 'guard',
    reason,
  })
  return {
    async read() {
      const document = await loadFlags(file)
      const description = describe(document, flag)
      const { entries } = await history.look(document)
      const { share, shape, state, sentence, pilots } = description
      return {
        percent: state === 'DISABLED' ? 0 : share,
        plain: shape === 'plain' && pilots.length === 0,
        detail: description.reason ?? sentence,
        moving: description.movesByItself,
        edited: editedOutside(entries, flag)?.warning ?? '',
      }
    },
    async setShare(percent, from, reason) {
      const change = { ...base, by: by(reason), percent, from }
      return effectOf(await changeShare(change))
    },
    async rollBack(reason) {
      return effectOf(await changeBack({ ...base, by: by(reason) }))
    },
    async served() {
      const document = await loadFlags(file)
      const ask = { flag, ...(typeof flagd === 'string' ? { url: flagd } : {}) }
      const [served, decided] = await Promise.all([
        flagd === false ? undefined : compareServed(document, ask),
        processes === undefined
          ? undefined
          : confirmProcesses({
              flag,
              processes,
              expected: expectationOf(document, flag),
              once: true,
            }),
      ])
      // A replica that does not answer is told of as lost, and one that does not tell may follow.
      const others = (decided?.lagging ?? []).filter(({ on }) => on !== undefined)
      const details = [
        served === undefined || served.state === 'same' ? '' : served.detail,
        ...others.map(({ process, cause }) => `${process} ${cause}`),
      ]
      const detail = details.filter((each) => each !== '').join('; ')
      if (others.length > 0 || served?.state === 'different') return { same: false, detail }
      const told = served?.state === 'same' || (decided?.deciding ?? 0) > 0
      return { same: told ? true : undefined, detail }
    },
  }
}
