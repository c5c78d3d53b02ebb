import type { ScrapedSplit, ProcessAnswer, ProcessReading } from '../../scrape/index.ts'
import type { Expectation } from '../users/expectation.ts'

/** Whether a process decides what the file says. */
export interface ProcessVerdict {
  /** E.g. `10.0.0.5:3002`. */
  readonly process: string
  readonly agrees: boolean
  /** It gave no answer, so its decisions are unknown. */
  readonly silent: boolean
  /**
   * It does not know its decisions at the moment: its flag source does not answer its probe users.
   */
  readonly pending: boolean
  /** Why it does not agree, for people; `''` when it does. */
  readonly cause: string
  /**
   * Probe users, and how many of them it sends to the new side; `undefined` where it does not
   * report it.
   */
  readonly probes: number | undefined
  readonly on: number | undefined
  /** Its answers are a sample of another vendor's provider, so only the direction was compared. */
  readonly sample: boolean
  /** Why it refuses the latest flags; `''` when it does not. */
  readonly refuses: string
  /** The name of its new side, e.g. `redis`, where that does not answer it; `undefined` where it does. */
  readonly newSideDown: string | undefined
}

export interface JudgeOptions {
  readonly flag: string
  readonly expected: Expectation
  /** What the file said before, to tell the old split from any other. */
  readonly before?: Expectation | undefined
}

/** Compares what a process reports with what the file says. Pure. */
export function judgeProcess(answer: ProcessAnswer, options: JudgeOptions): ProcessVerdict {
  const { process, reading, error } = answer
  const base = {
    process,
    agrees: false,
    silent: false,
    pending: false,
    sample: false,
    refuses: '',
    newSideDown: reading?.newSideUp === false ? reading.newSide : undefined,
  }
  const unknown = { probes: undefined, on: undefined }
  if (reading === undefined) return { ...base, ...unknown, silent: true, cause: error }
  const refuses = refusalOf(reading)
  const wrong = reading.splits.find((split) => !decides(split, options.expected))
  const shown = wrong ?? reading.splits[0]
  if (shown === undefined) {
    const cause = refuses === '' ? ignorance(reading, options) : `refuses the flags: ${refuses}`
    return { ...base, ...unknown, pending: reading.knowsFlag, refuses, cause }
  }
  const retired = whyRetired(reading, options.expected, shown.feature)
  if (retired !== '') return { ...base, ...unknown, refuses, cause: retired }
  const counts = { probes: shown.probes, on: shown.on, sample: shown.kind === 'sample' }
  if (wrong === undefined && refuses === '') return { ...base, ...counts, agrees: true, cause: '' }
  return { ...base, ...counts, refuses, cause: causeOf(shown, reading, options, refuses) }
}

/** A process that has retired a side asks the flag no more, though its probe users do. */
function whyRetired({ stages }: ProcessReading, expected: Expectation, feature: string): string {
  const every = (stage: string): boolean =>
    stages.length > 0 && stages.every((one) => one === stage)
  const on = expected.on(feature)
  if (every('retire-off') && on < expected.probes) {
    return "serves all users from the new side, whatever the flag says: it has retired the old side; deploy it without `retire: 'off'` to take users back"
  }
  if (every('retire-on') && on > 0) {
    return "serves all users from the old side, whatever the flag says: it has retired the new side; deploy it without `retire: 'on'` to move users"
  }
  return ''
}

function decides(split: ScrapedSplit, expected: Expectation): boolean {
  const { on, probes, kind, hash, feature } = split
  const count = expected.on(feature)
  if (kind === 'sample') return isLikely(on, probes, count / expected.probes)
  if (hash !== '' && hash !== expected.hash) return false
  return on * expected.probes === count * probes
}

/** 0 % and 100 % are exact for any users; in between, four standard deviations are allowed. */
function isLikely(on: number, probes: number, share: number): boolean {
  if (share === 0 || share === 1) return on === share * probes
  return Math.abs(on - share * probes) <= 4 * Math.sqrt(share * (1 - share) * probes) + 1
}

function ignorance(
  { others, knowsFlag, up }: ProcessReading,
  { flag, expected }: JudgeOptions,
): string {
  if (knowsFlag) {
    const failing = expected.fails('')
    const known = up !== false && failing === ''
    const why = known ? 'its flag source has not answered yet' : whyDown(failing)
    return `does not know what it decides for "${flag}": ${why}`
  }
  return others.length > 0
    ? `does not decide "${flag}" (it decides ${others.slice(0, 3).join(', ')})`
    : `does not report what it decides for "${flag}": an older Switchback, or another application`
}

/** A process tells only that its evaluations fail; where the file makes them fail, that is why. */
function whyDown(errorCode: string): string {
  return errorCode === ''
    ? 'its flags are unreachable'
    : `the flag as written answers ${errorCode}, so each user keeps the side known last (switchback validate shows why)`
}

function refusalOf({ refused }: ProcessReading): string {
  if (refused === undefined) return ''
  return refused.reason === '' ? 'without a reason' : refused.reason
}

function causeOf(
  split: ScrapedSplit,
  reading: ProcessReading,
  { expected, before }: JudgeOptions,
  refuses: string,
): string {
  const { feature, hash, since } = split
  const count = expected.on(feature)
  const old = before !== undefined && decides(split, before) && before.on(feature) !== count
  const cache = feature === '' ? '' : ` (cache "${feature}")`
  const now = old
    ? `still on the old split at ${percent(split)}`
    : `decides ${percent(split)} instead of ${Math.round((count / expected.probes) * 100)} %`
  if (refuses !== '') {
    const when = clock(reading.refused?.since)
    return `${now}${cache}: it refuses the flags${when === '' ? '' : ` since ${when}`}: ${refuses}`
  }
  const stale = since === undefined ? '' : `, unchanged since ${clock(since)}`
  const failing = expected.fails(feature)
  if (reading.up === false || failing !== '') return `${now}${cache}: ${whyDown(failing)}${stale}`
  if (hash !== '' && hash === expected.hash) {
    return `${now}${cache}, although it has the new flags`
  }
  if (split.mode === 'provider') {
    return `${now}${cache}, with the flags of another provider, which may not read this file${stale}`
  }
  const other = hash !== '' && !old ? ', with another definition of the flag' : ''
  return `${now}${cache}${other}${stale}`
}

/** E.g. `25 %`, or `25 % of a sample`. */
function percent({ on, probes, kind }: ScrapedSplit): string {
  const share = `${Math.round((on / probes) * 100)} %`
  return kind === 'sample' ? `${share} of a sample` : share
}

/** UTC, since the process may be elsewhere. */
function clock(seconds: number | undefined): string {
  if (seconds === undefined || !(Math.abs(seconds) < 8e12)) return ''
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z')
}
