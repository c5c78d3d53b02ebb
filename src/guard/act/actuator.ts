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
  requireWritable,
  troubleOf,
  whyDisabled,
} from '../../rollout/index.ts'
import type { ChangeResult, FlagsDocument, FlagsFile } from '../../rollout/public.ts'
import type { ProcessesOptions } from '../../scrape/index.ts'

/** Everything that the guard can do to the flags file. */
export interface Actuator {
  /** Rejects when nothing can be changed here, which is not to be learned when it is needed. */
  check?(): Promise<void>
  /** How long a change may need until the processes have it, in ms. @default none: it is confirmed or late */
  readonly reachMs?: number
  read(): Promise<SplitReading>
  /** Why what is read may not be what all others have, or could not be changed; `''` where all is well. */
  trouble?(): string
  /** Rejects when the share is no longer `from`: somebody else was faster. */
  setShare(percent: number, from: number, reason: string): Promise<WriteEffect>
  /** Routes all users to `off`, however many others are editing. */
  rollBack(reason: string): Promise<WriteEffect>
  /** Whether flagd and the replicas follow the file; `undefined` when none can be asked. */
  served(): Promise<{ readonly same: boolean | undefined; readonly detail: string }>
}

export interface SplitReading {
  /** Share of `on` in percent; undefined when the rule is not understood. */
  readonly percent: number | undefined
  /** The rule is a split and nothing else, so the share of users seen must be the share set. */
  readonly plain: boolean
  readonly detail: string
  /** The rule depends on the time: the share changes without an edit. @default false */
  readonly moving?: boolean
  /**
   * Share of the probe users that each process must send to the new side.
   * @default undefined: it depends on more than the split
   */
  readonly expected?: number
  /** What an edit by hand did to users who should have stayed; `''` without such an edit. */
  readonly edited: string
}

/** The result of a change. */
export interface WriteEffect {
  /** Whether flagd serves it and every replica decides it; undefined when none was asked. */
  readonly confirmed: boolean | undefined
  /** Milliseconds until the last test user had the new answer. */
  readonly lastMs: number | undefined
  /** For people: why it is not confirmed, or what to watch for. '' when all is well. */
  readonly detail: string
}

export interface FlagsActuatorOptions {
  /** The flags file, or another place where the flags live. */
  readonly file: FlagsFile
  readonly flag: string
  /** flagd's OFREP address; `false` does not ask it. @default that of the rollout room */
  readonly flagd?: string | false
  /**
   * The replicas, each of which must decide a change before it counts as done. @default none are
   * asked
   */
  readonly processes?: ProcessesOptions
  /** Written into the history. @default 'guard' */
  readonly who?: string
  /** Whether edits by hand are written into the history. @default true */
  readonly record?: boolean
}

/**
 * A replica of an older version does not report its decisions: it is named, but does not hold the
 * rollout.
 */
function effectOf({
  edit,
  applied,
  confirmation,
  processes,
  ...result
}: ChangeResult): WriteEffect {
  const missing = (processes?.lagging ?? []).some(
    ({ on, silent, pending }) => on !== undefined || silent || pending,
  )
  const all = confirmation?.confirmed !== false && !missing
  const confirmed = result.confirmed === undefined ? undefined : all
  const lagging = (processes?.lagging ?? []).map(({ process, cause }) => `${process} ${cause}`)
  const details = [
    confirmation?.cause,
    ...lagging,
    confirmation?.hint,
    whyDisabled(edit),
    applied?.warning,
  ]
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
  // A Prometheus shows a change only after its next scrape, so it is not waited for here but asked
  // at each look.
  const metrics = processes?.metrics ?? []
  // Of a slow place a change is not waited for either: the guard would see no harm meanwhile.
  const base = {
    file,
    flag,
    timeoutMs: 5000,
    processes: { metrics },
    ...(flagd === undefined ? {} : { flagd }),
  }
  const by = (reason: string): { who: string; via: string; reason: string } => ({
    who: options.who ?? 'guard',
    via: 'guard',
    reason,
  })
  let known: { readonly hash: string; readonly expected: number | undefined } | undefined
  // Evaluated again only for another text: a plain split depends on nothing else.
  const expectedOf = (document: FlagsDocument, plain: boolean): number | undefined => {
    if (known?.hash === document.hash) return known.expected
    const { on, probes } = plain ? expectationOf(document, flag) : { on: () => 0, probes: 0 }
    known = { hash: document.hash, expected: probes === 0 ? undefined : on('') / probes }
    return known.expected
  }
  return {
    ...(typeof file === 'string' || file.reachMs === undefined ? {} : { reachMs: file.reachMs }),
    check: () => requireWritable(file),
    async read() {
      const document = await loadFlags(file)
      const description = describe(document, flag)
      const { entries } = await history.look(document)
      const { share, shape, state, sentence, pilots } = description
      const plain = shape === 'plain' && pilots.length === 0
      const expected = expectedOf(document, plain && state !== 'DISABLED')
      return {
        percent: state === 'DISABLED' ? 0 : share,
        plain,
        ...(expected === undefined ? {} : { expected }),
        detail: description.reason ?? description.problem?.message ?? sentence,
        moving: description.movesByItself,
        edited: editedOutside(entries, flag)?.warning ?? '',
      }
    },
    trouble: () => troubleOf(file),
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
      // Before anything is under way: what this throws would leave its promise without a handler.
      const expected = processes === undefined ? undefined : expectationOf(document, flag)
      const [served, decided] = await Promise.all([
        flagd === false ? undefined : compareServed(document, ask),
        processes === undefined || expected === undefined
          ? undefined
          : confirmProcesses({ flag, processes, expected, once: true }),
      ])
      // A replica that does not answer is reported as lost; one that does not report may still
      // follow.
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
