import { clock } from '../../../clock.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { isSwitchbackError, quote } from '../../../errors.ts'
import {
  compareServed,
  concerns,
  describe,
  type Description,
  type HistoryEntry,
  type FlagsFile,
  HistoryWatch,
  loadFlags,
  troubleOf,
} from '../../../rollout/index.ts'
import { metricsUrl } from '../../../scrape/index.ts'
import {
  guardFiles,
  HEARD_WITHIN_MS,
  type PublishedStatus,
  readStatus,
} from '../../../guard/index.ts'
import { type Command, exitCode, usageError } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { ago, count, percent, printJson } from '../../framework/format.ts'
import { METRICS, metricsOption } from '../../changing/metrics-option.ts'
import { sharedStatus } from '../../guarding/shared-notes.ts'
import { outsideText } from '../../changing/outside-text.ts'
import { namedMetrics } from '../../changing/processes-option.ts'
import type { Style } from '../../framework/style.ts'
import { findTarget, followed, targetOptions, type Target } from '../../changing/target.ts'
import { type ArmRate, ratesOf, readArms } from '../../watching/arms.ts'

export const command: Command = defineCommand({
  usage: 'watch [options]',
  summary: 'shows the split, flagd and both sides, live in the terminal; Ctrl-C ends it',
  details: `Reads the flags file, what flagd serves, and the application's /metrics. switchback control shows
the same and more in a browser. A change of the file that no command made is written into the history.

--json prints one line a look: ok (false while the file cannot be read: error {code, message, hint}, else null; or no app can use the flag), at,
flag, share, sentence, stale (why the file of --target git may not be what the remote has, or ''), problem {code, message, hint} (why no app can use the flag, or null), flagd {state, detail}, last {action, from, to, who, via,
at, warning}, guard {name, mode, answer, percent, awaiting, holding, alarms, waits, sentence} (last and guard may be null)
and metrics {off, on, missing}: of each side perSecond, hits, bad, p50 and p99, and the addresses that did not answer.`,
  options: {
    ...targetOptions,
    ...metricsOption,
    interval: { type: 'string', value: 'SECONDS', help: 'time between two updates (1)' },
    count: { type: 'string', value: 'N', help: 'number of updates (until Ctrl-C)' },
  },
  examples: [
    ['switchback watch', 'the application on this machine'],
    ['switchback watch --count 1 --interval 5 --json', 'one update over five seconds, as JSON'],
  ],
  async run({ values, env, stdout, style, signal }) {
    const found = await findTarget(values, env)
    const seconds = positive('interval', values.interval ?? '1')
    const looks = values.count === undefined ? Infinity : positive('count', values.count)
    const named = namedMetrics(values.metrics, env)
    const metrics = named.length > 0 ? named : [METRICS]
    const urls = metrics.map(metricsUrl)
    const over = new AbortController()
    const target = followed(found, AbortSignal.any([signal, over.signal]))
    const history = new HistoryWatch({ file: target.file })
    let before = await readArms(urls, signal)
    let drawn = 0
    for (let look = 0; look < looks; look++) {
      const start = performance.now()
      // A person ends this with Ctrl-C, which is not an error.
      await sleep(seconds * 1000, undefined, { signal }).catch(() => {})
      if (signal.aborted) break
      const now = await readArms(urls, signal)
      const view = await takeView(target, history, signal)
      if (view === undefined) break
      const elapsed = (performance.now() - start) / 1000
      const rates = ratesOf(before, now, elapsed)
      before = now
      if (values.json) {
        const metrics = { ...rates, missing: now.missing }
        printJson(stdout, {
          ok: view.error === null && view.problem === null,
          command: 'watch',
          at: new Date().toISOString(),
          ...viewJson(view),
          metrics,
        })
        continue
      }
      const lines = [...viewLines(view, target, style), ...armLines(rates, now.missing, style)]
      if (stdout.isTTY === true && drawn > 0) stdout.write(`\u001B[${drawn}A\u001B[J`)
      stdout.write(`${lines.join('\n')}\n`)
      drawn = lines.length
    }
    over.abort()
    return exitCode.done
  },
})

interface View {
  readonly flag: string
  readonly share: number | null
  readonly sentence: string
  /** Why what was read may not be what all others have; `''` where it is. */
  readonly stale: string
  /** Why no app can use the flag; `null` where one can. */
  readonly problem: NonNullable<Description['problem']> | null
  /** Why the file could not be read; `null` where it was. */
  readonly error: { readonly code: string; readonly message: string; readonly hint: string } | null
  readonly flagd: {
    readonly state: 'same' | 'different' | 'unreachable' | 'not asked'
    readonly detail: string
  }
  readonly last: HistoryEntry | undefined
  /** The guard that acts beside this file. */
  readonly guard: PublishedStatus | undefined
}

const NOT_ASKED = { state: 'not asked', detail: '' } as const

function viewJson(view: View): object {
  const { last, guard } = view
  const summary = guard?.summary
  return {
    ...view,
    last:
      last === undefined
        ? null
        : {
            action: last.action,
            from: last.from ?? null,
            to: last.to ?? null,
            who: last.who,
            via: last.via,
            at: last.at,
            warning: last.warning ?? '',
          },
    guard:
      guard === undefined || summary === undefined
        ? null
        : {
            name: guard.name,
            mode: summary.mode,
            answer: summary.answer ?? null,
            percent: summary.percent,
            awaiting: summary.awaiting ?? null,
            holding: summary.holding,
            alarms: summary.alarms,
            waits: summary.waits,
            sentence: summary.sentence,
          },
  }
}

async function takeView(
  target: Target,
  watch: HistoryWatch,
  signal: AbortSignal,
): Promise<View | undefined> {
  const { flag, file, flagd } = target
  try {
    const document = await loadFlags(file)
    const { share, sentence, problem = null } = describe(document, flag)
    const served =
      flagd === false
        ? undefined
        : await compareServed(document, { flag, url: flagd, probes: 16, timeoutMs: 1000, signal })
    const { entries } = await watch.look(document)
    const last = entries.findLast((entry) => concerns(entry, flag))
    return {
      flag,
      share: share ?? null,
      sentence,
      stale: troubleOf(file),
      problem,
      error: null,
      flagd: served === undefined ? NOT_ASKED : { state: served.state, detail: served.detail },
      last,
      guard: await actingGuard(file, flag),
    }
  } catch (error) {
    // Ctrl-C in the middle of an update.
    if (signal.aborted) return undefined
    if (!isSwitchbackError(error)) throw error
    const nothing = {
      stale: troubleOf(file),
      problem: null,
      flagd: NOT_ASKED,
      last: undefined,
      guard: undefined,
    }
    const { code, message, hint = '' } = error
    return { flag, share: null, sentence: message, error: { code, message, hint }, ...nothing }
  }
}

async function actingGuard(file: FlagsFile, flag: string): Promise<PublishedStatus | undefined> {
  const heard = (status: PublishedStatus | undefined): boolean =>
    status?.flag === flag && Date.now() - status.summary.at <= HEARD_WITHIN_MS
  const near = await readStatus(guardFiles(file, flag).status)
  if (heard(near)) return near
  const far = await sharedStatus(file)
  return heard(far) ? far : undefined
}

function flagdText({ state, detail }: View['flagd']): string {
  if (state === 'same') return 'serves what the file says'
  return state === 'not asked' ? state : detail
}

function viewLines(view: View, target: Target, style: Style): string[] {
  const share = view.share ?? 0
  const filled = Math.round((share / 100) * 40)
  const bar = `${'#'.repeat(filled)}${style.dim('.'.repeat(40 - filled))}`
  const label = (text: string): string => `  ${style.dim(text.padEnd(8))}  `
  const loud = (text: string): string =>
    (view.last?.warning ?? '') === '' ? text : style.red(text)
  const flagd = flagdText(view.flagd)
  return [
    `${style.bold(view.flag)}  ${target.file}  ${style.dim(clock(Date.now()))}Z`,
    `${label('share')}${percent(view.share ?? undefined).padEnd(9)} ${bar}`,
    `${label('who')}${view.sentence}`,
    ...(view.stale === '' ? [] : [`${label('stale')}${style.red(view.stale)}`]),
    ...(view.problem === null
      ? []
      : [`${label('problem')}${style.red(problemText(view.problem))}`]),
    `${label('flagd')}${view.flagd.state === 'same' ? style.green(flagd) : style.yellow(flagd)}`,
    ...(view.guard === undefined ? [] : [`${label('guard')}${view.guard.summary.sentence}`]),
    ...(view.last === undefined ? [] : [`${label('last')}${loud(lastText(view.last))}`]),
  ]
}

function problemText({ code, message, hint }: NonNullable<View['problem']>): string {
  return `${code}: ${message}; ${hint}`
}

function lastText(last: HistoryEntry): string {
  if (last.action === 'outside') return `${outsideText(last)}, ${ago(last.at)}`
  const move = last.to === undefined ? '' : ` to ${last.to} %`
  return `${last.action}${move} by ${last.who}, ${ago(last.at)}`
}

function armLines(
  rates: Readonly<Record<'off' | 'on', ArmRate>> | undefined,
  missing: readonly string[],
  style: Style,
): string[] {
  const silent = missing.map((who) => `  ${style.dim('silent'.padEnd(8))}  ${style.yellow(who)}`)
  if (rates === undefined) {
    return missing.length > 0 ? silent : [`  ${style.dim('metrics'.padEnd(8))}  none yet`]
  }
  const cell = (text: string): string => text.padStart(10)
  const share = (value: number | undefined): string =>
    value === undefined ? '-' : `${(value * 100).toFixed(2)} %`
  const time = (value: number | undefined): string =>
    value === undefined ? '-' : `${value.toFixed(2)} ms`
  const head = ['ops/s', 'hits', 'bad', 'p50', 'p99'].map(cell).join('')
  return [
    `  ${' '.repeat(8)}${style.dim(head)}`,
    ...(['off', 'on'] as const).map((side) => {
      const { perSecond, hits, bad, p50, p99 } = rates[side]
      const cells = [count(Math.round(perSecond)), share(hits), share(bad), time(p50), time(p99)]
      return `  ${side.padEnd(8)}${cells.map(cell).join('')}`
    }),
    ...silent,
  ]
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (value > 0 && value < 1e9) return value
  throw usageError(`--${name} ${quote(text)} is not a positive number`, `write --${name} 1`)
}
