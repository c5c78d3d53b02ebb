import { clock } from '../../clock.ts'
import { type Alarm, type EndedAlarm, HOLDING } from './alarms.ts'
import { metricText } from '../rule/index.ts'
import type { Answer, MetricVerdict } from '../rule/index.ts'
import type { GuardStatus, ToldIncident } from './status.ts'
import type { Paused } from '../act/state-store.ts'

/**
 * - `acting`: it moves the split; `advising`: it only reports what it would do;
 * - `yielded`: a person changed the split, and it no longer acts;
 * - `blind`: it has no metrics; `standby`: another guard acts; `stopped`: it rolled back.
 */
export type GuardMode = 'acting' | 'advising' | 'yielded' | 'blind' | 'standby' | 'stopped'

/** A {@link GuardStatus} for people and pages. */
export interface GuardSummary {
  readonly mode: GuardMode
  readonly answer: Answer | undefined
  /** What it concludes and what it does about it. */
  readonly sentence: string
  readonly metrics: readonly MetricVerdict[]
  readonly plan: {
    readonly steps: readonly number[]
    readonly heldS: number
    readonly minHoldS: number
    readonly intervalMs: number
  }
  /** What each metric that stands in the way of the next step waits for, and how long. */
  readonly waits: readonly string[]
  /** What ended well, but took longer than so many milliseconds, is late. */
  readonly lateMs: number
  /** Incidents that were survived, the newest first, with their time. */
  readonly incidents: readonly ToldIncident[]
  /** Which attempt this is; each resume begins one. */
  readonly epoch: number
  readonly alarms: readonly string[]
  /** Alarms that are over, with their times, the newest first. */
  readonly ended: readonly string[]
  /** Share of the new side in percent. */
  readonly percent: number
  /** A share that waits for an approval. */
  readonly awaiting: number | undefined
  /** The next share of the plan; undefined at its end. */
  readonly next: number | undefined
  /** By whom and since when no step is taken; undefined: steps are taken. */
  readonly paused: Paused | undefined
  /** The alarm that keeps it from the next step; `''` without one. */
  readonly holding: string
  readonly at: number
}

function modeOf({ standbyFor, phase, sight, dryRun }: GuardStatus): GuardMode {
  if (standbyFor !== '') return 'standby'
  if (phase === 'yielded') return 'yielded'
  if (phase === 'rolled back') return 'stopped'
  if (sight === 'blind' || sight === 'lost') return 'blind'
  return dryRun ? 'advising' : 'acting'
}

function sentenceOf(status: GuardStatus): string {
  const { standbyFor, phase, percent, reason, awaiting, verdict, next, alarms, paused } = status
  if (standbyFor !== '') {
    const { standbyUntil: until } = status
    const time = until === undefined ? '' : ` (${clock(until)}Z now)`
    return `${standbyFor} acts; this guard stands by until that one ends, or its lease is not renewed${time}`
  }
  if (phase === 'yielded') return `at ${percent} %: ${reason}`
  if (phase === 'rolled back') {
    const lag = alarms.find(({ code }) => code === 'not-served')
    const so = lag === undefined ? 'all users are on the old side' : `NOT back yet: ${lag.message}`
    return `rolled back, ${so}: ${reason}`
  }
  if (awaiting !== undefined) return `at ${percent} %: waits for an approval of ${awaiting} %`
  if (phase === 'finished') return `at ${percent} %, the last step`
  if (paused !== undefined) {
    const since = new Date(paused.since).toISOString().slice(11, 16)
    return `at ${percent} %: paused by ${paused.who} since ${since}; it takes no step, and rolls back if it must`
  }
  const goal = next === undefined ? '' : `, next ${next} %`
  return `at ${percent} %${goal}: ${verdict?.reason ?? 'no metrics yet'}`
}

function waitsOf({ verdict, phase, standbyFor }: GuardStatus): string[] {
  if (phase !== 'step' || standbyFor !== '') return []
  const waiting = (verdict?.metrics ?? []).filter(({ waits }) => waits !== undefined)
  return waiting.map((metric) => metricText(metric))
}

/** What is the matter, and since when. */
function alarmText({ code, message, since }: Alarm): string {
  // It says itself since when.
  if (code === 'side-out') return `${code}: ${message}`
  return `${code}: ${message} (since ${clock(since)} UTC)`
}

/** What was the matter, from when to when. */
function endedText({ code, message, since, until }: EndedAlarm): string {
  return `${code}: ${message} (over: ${clock(since)} to ${clock(until)} UTC)`
}

/** What a person should know of the guard at a glance. */
export function viewOf(status: GuardStatus): GuardSummary {
  return {
    mode: modeOf(status),
    answer: status.verdict?.answer,
    sentence: sentenceOf(status),
    metrics: status.verdict?.metrics ?? [],
    plan: { ...status.plan, heldS: status.heldS },
    waits: waitsOf(status),
    lateMs: status.lateMs,
    incidents: status.incidents,
    epoch: status.epoch,
    alarms: status.alarms.map((alarm) => alarmText(alarm)),
    ended: status.ended.map((alarm) => endedText(alarm)),
    percent: status.percent,
    awaiting: status.awaiting,
    next: status.next,
    paused: status.paused,
    holding: status.alarms.find(({ code }) => HOLDING.has(code))?.message ?? '',
    at: status.at,
  }
}
