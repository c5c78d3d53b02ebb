import {
  changeBack,
  changeShare,
  compareServed,
  describe,
  editedOutside,
  HistoryWatch,
  loadFlags,
} from '../rollout/index.ts'
import type { ChangeResult } from '../rollout/index.ts'

/** The guard's hands: everything that it can do to the flags file. */
export interface Actuator {
  read(): Promise<Split>
  /** Rejects when the share is no longer `from`: somebody else was faster. */
  setShare(percent: number, from: number, reason: string): Promise<Effect>
  /** Everybody back to `off`, however many others are editing. */
  rollBack(reason: string): Promise<Effect>
  /** Whether flagd serves what the file says; `undefined` when it cannot be asked. */
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
  /** Whether flagd serves it; undefined when it was not asked. */
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
  /** Stands in the history. @default 'guard' */
  readonly who?: string
  /** Whether edits by hand are written into the history. @default true */
  readonly record?: boolean
}

function effectOf({ applied, confirmation }: ChangeResult): Effect {
  const details = [confirmation?.cause, confirmation?.hint, applied?.warning]
  return {
    confirmed: confirmation?.confirmed,
    lastMs: confirmation?.lastMs,
    detail: details.filter((detail) => detail !== undefined && detail !== '').join('; '),
  }
}

/** Works on a flags file through the rollout room: validated, compare-and-swap, confirmed. */
export function flagsActuator(options: FlagsActuatorOptions): Actuator {
  const { file, flag, flagd, record = true } = options
  const history = new HistoryWatch({ file, record })
  const base = { file, flag, ...(flagd === undefined ? {} : { flagd }) }
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
      if (flagd === false) return { same: undefined, detail: '' }
      const ask = { flag, ...(flagd === undefined ? {} : { url: flagd }) }
      const { state, detail } = await compareServed(await loadFlags(file), ask)
      return { same: state === 'unreachable' ? undefined : state === 'same', detail }
    },
  }
}
