import { sinceText } from '../since-text.ts'
import type { FlagOutagesReading } from './flag-outages.ts'
import type { FlagReading } from './flag-watch.ts'
import type { GuardReading } from '../guard-view.ts'
import type { ArmReading, FleetReading } from '../metrics/index.ts'
import type { Side } from '../../side.ts'
import { guardSilentS } from '../page/guard-silence.ts'
import { isEnough, sideName } from '../page/side-name.ts'
import type { ProcessesReading } from './process-judge.ts'
import type { SwitchReading } from './switches.ts'
import type { WayBack } from './way-back.ts'

/** `ok`, `watch` (look at it), `trouble` (act), or `unknown`. */
export type Level = 'ok' | 'watch' | 'trouble' | 'unknown'

/** Is the rollout healthy: the worst finding first. */
export interface Headline {
  readonly level: Level
  /** One sentence. */
  readonly sentence: string
  /** All findings, the worst first. */
  readonly findings: readonly { readonly level: Level; readonly sentence: string }[]
}

export interface HeadlineInput {
  /** Epoch milliseconds. */
  readonly now: number
  readonly flag: FlagReading
  readonly fleet: FleetReading
  readonly guard: GuardReading | undefined
  readonly processes: ProcessesReading
  readonly flagOutages: FlagOutagesReading
  readonly switches: readonly SwitchReading[]
  readonly wayBack: WayBack
  /** Epoch milliseconds since when the file is unchanged. */
  readonly changedAt: number
  /** Callers who got nothing from either side since a side is out, as far as it is known. */
  readonly lost: Readonly<Record<Side, { readonly sum: number; readonly seconds: number }>>
}

/** Shares of bad operations from which a person should look, and from which they should act. */
const WATCH_BAD = 0.01
const TROUBLE_BAD = 0.05
/**
 * flagd's watcher needs a second or two for an edit; no difference is reported for this long. In
 * milliseconds.
 */
const SERVING_GRACE_MS = 4000
const WATCH_LOOP_DELAY_MS = 200

const RANK: Readonly<Record<Level, number>> = { trouble: 0, watch: 1, unknown: 2, ok: 3 }

/** Pure: the same readings give the same sentence. */
export function headlineOf(input: HeadlineInput): Headline {
  const findings = [
    ...wayBackFindings(input.wayBack),
    ...processFindings(input),
    ...sideFindings(input.fleet, input),
    ...switchFindings(input.switches),
    ...guardFindings(input),
    ...flagFindings(input),
    ...flagOutageFindings(input.flagOutages),
    ...fleetFindings(input),
  ].sort((a, b) => RANK[a.level] - RANK[b.level])
  const [worst] = findings
  if (worst !== undefined) return { ...worst, findings }
  return {
    level: 'ok',
    sentence: healthyText(input),
    findings,
  }
}

type Finding = Headline['findings'][number]

/** Only what was heard of: a side without operations has not answered. */
function sidesText({ arms, backends }: FleetReading): string {
  const heard = (['off', 'on'] as const).filter((side) => (arms?.[side].operations ?? 0) > 0)
  if (heard.length === 2) return 'both sides answer'
  const [side] = heard
  if (side === undefined) return 'no side has operations'
  const other = side === 'on' ? 'off' : 'on'
  return `${named(side, backends[side])} answers, ${named(other, backends[other])} has no operations`
}

function healthyText({ flag, fleet, processes: { known, agreeing } }: HeadlineInput): string {
  const served = flag.served.state === 'same' ? ['flagd serves what the file says'] : []
  const decide = known === 1 ? 'the process decides it' : `all ${known} processes decide it`
  const all = [...served, ...(known > 0 && agreeing === known ? [decide] : [])]
  return [sidesText(fleet), ...all].join(', and ')
}

function wayBackFindings({ state, sentence, next }: WayBack): Finding[] {
  if (state === 'not-back') {
    return [{ level: 'trouble', sentence: `NOT back yet: ${sentence}. ${next}` }]
  }
  if (state !== 'unsure') return []
  const doubt = 'It is unknown whether all users are on the old side'
  return [{ level: 'watch', sentence: `${doubt}: ${sentence}. ${next}` }]
}

function processFindings({ now, changedAt, processes, wayBack }: HeadlineInput): Finding[] {
  const found: Finding[] = []
  const { list, known } = processes
  const refusing = list.filter(({ refuses }) => refuses !== '')
  for (const { process, refuses } of refusing.slice(0, 3)) {
    const sentence = `${process} refuses the flags and keeps the old ones: ${refuses}`
    found.push({ level: 'trouble', sentence })
  }
  // Silent processes, and those that report nothing, are separate findings.
  const lagging = list.filter(
    ({ agrees, silent, onShare, refuses }) =>
      !agrees && !silent && onShare !== null && refuses === '',
  )
  const [first] = lagging
  if (first !== undefined && wayBack.state === 'open' && now - changedAt > SERVING_GRACE_MS) {
    const count = `${lagging.length} of ${known} ${known === 1 ? 'process does' : 'processes do'}`
    const sentence = `${count} not decide what the file says: ${first.process} ${first.cause}`
    found.push({ level: 'trouble', sentence })
  }
  return found
}

function sideFindings(
  { arms, replicas, backends, breakersOpen, outSince, owed }: FleetReading,
  { now, lost }: HeadlineInput,
): Finding[] {
  const found: Finding[] = []
  const live = replicas.filter((replica) => replica.live).length
  for (const side of ['on', 'off'] as const) {
    const arm = arms?.[side]
    const bad = arm?.bad ?? 0
    const open = breakersOpen[side]
    if (open > 0) {
      const where = open === 1 ? 'one replica' : `${open} replicas`
      found.push({
        level: 'trouble',
        sentence: `${upper(named(side, backends[side]))} is out${sinceText(outSince[side])}: breaker open on ${where}${harmText(arms, lost[side], now, outSince[side])}`,
      })
    }
    // Of a side that is out everywhere, everything falls back: that is said.
    const said = open > 0 && open >= live && arms?.all.lost === 0
    if (arm !== undefined && !said && bad >= WATCH_BAD && isEnough(bad, arm.operations)) {
      const level = bad >= TROUBLE_BAD ? 'trouble' : 'watch'
      found.push({ level, sentence: badText(arm, named(side, backends[side])) })
    }
    const due = owed[side] ?? 0
    if (due > 0) {
      const what = due === 1 ? 'One invalidation is' : `${due} invalidations are`
      const sentence = `${what} pending for ${named(side, backends[side])}, until it takes ${due === 1 ? 'it' : 'them'}`
      found.push({ level: 'watch', sentence })
    }
  }
  return found
}

/** What callers got is another question than what the side did. */
function badText({ bad, errors, fallbacks }: ArmReading, name: string): string {
  const all = percent(bad ?? 0)
  if ((fallbacks ?? 0) < WATCH_BAD) return `${all} of the operations on ${name} fail`
  if ((errors ?? 0) < WATCH_BAD) {
    return `${all} of the operations on ${name} are served by the other side or the origin`
  }
  return `${all} of the operations on ${name} fail or fall back`
}

/** Of the switches beside the cache. */
function switchFindings(switches: readonly SwitchReading[]): Finding[] {
  return switches.flatMap(({ name, outSince, methods }) =>
    (['on', 'off'] as const).flatMap((side): Finding[] => {
      const which = side === 'on' ? 'new side' : 'old side'
      const since = outSince[side]
      if (since !== null) {
        const sentence = `Switch ${name}: the ${which} is out${sinceText(since)}`
        return [{ level: 'trouble', sentence }]
      }
      return methods.flatMap((method): Finding[] => {
        const { operations, errors, fallbacks } = method[side]
        const bad = (errors ?? 0) + (fallbacks ?? 0)
        if (bad < WATCH_BAD || !isEnough(bad, operations)) return []
        const level = bad >= TROUBLE_BAD ? 'trouble' : 'watch'
        const sentence = `Switch ${name}: ${percent(bad)} of ${method.name} on the ${which} fail or fall back`
        return [{ level, sentence }]
      })
    }),
  )
}

/** `the new side` of an unknown store, `Redis (new side)` of a known one. */
function named(side: Side, backend: string): string {
  const name = sideName(side, backend)
  return backend === '' ? `the ${name}` : name
}

function upper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

/** What callers notice of it: the first question of a person on call. */
function harmText(
  arms: FleetReading['arms'],
  { sum, seconds }: HeadlineInput['lost'][Side],
  now: number,
  since: number | null,
): string {
  if (arms === undefined) return ''
  const { lost } = arms.all
  if (lost > 0) return `; ${rate(lost)} requests a second get nothing from either side`
  // The page may have been started after the outage began.
  const whole = since !== null && (now - since) / 1000 - seconds < 3
  const then = whole ? 'since then' : `in the last ${Math.max(5, Math.round(seconds))} s`
  const failed = Math.round(sum)
  return failed === 0
    ? `; no request failed ${then}`
    : `; callers are served now, about ${failed} ${failed === 1 ? 'request' : 'requests'} failed ${then}`
}

function rate(value: number): string {
  return value < 10 ? value.toFixed(1) : String(Math.round(value))
}

function guardFindings({ guard, fleet, flag, now }: HeadlineInput): Finding[] {
  if (guard === undefined) return []
  // A side that is out, and an edit by hand, are findings of their own.
  const alarms = guard.alarms.filter(
    (alarm) =>
      !(alarm.startsWith('side-out:') && fleet.breakersOpen.on > 0) &&
      !(alarm.startsWith('edited:') && (flag.edited?.warning ?? '') !== ''),
  )
  const found: Finding[] = alarms.map((sentence) => ({ level: 'watch', sentence }))
  const silent = guardSilentS(guard, now)
  if (silent > 0) {
    const who = guard.elsewhere ?? 'The guard'
    const sentence = `${who} has not been heard for ${silent} s: it may not roll back by itself`
    found.push({ level: 'watch', sentence })
  }
  if (guard.answer === 'regressed') {
    const alone = guard.mode === 'advising' ? ' (this guard only watches: roll back yourself)' : ''
    found.unshift({ level: 'trouble', sentence: `${guard.sentence}${alone}` })
  } else if (guard.answer === 'starved') found.push({ level: 'watch', sentence: guard.sentence })
  if (guard.mode === 'blind' || guard.mode === 'stopped') {
    found.push({
      level: 'watch',
      sentence: `The guard is ${guard.mode}: it will not roll back by itself`,
    })
  }
  return found
}

function flagFindings({ now, flag }: HeadlineInput): Finding[] {
  const found: Finding[] = []
  const { error, served, description, edited, trouble } = flag
  if (error !== null) found.push({ level: 'trouble', sentence: `The flags file: ${error.message}` })
  else if (description?.shape === 'unknown') {
    found.push({
      level: 'watch',
      sentence: 'The rule of the flag is not a split that can be changed here',
    })
  }
  const problem = description?.problem ?? ''
  if (error === null && problem !== '') {
    found.push({ level: 'trouble', sentence: `No app can use the flag: ${problem}` })
  }
  if (trouble !== '') {
    found.push({
      level: 'watch',
      sentence: `The flags shown may be old, or cannot be changed: ${trouble}`,
    })
  }
  if (edited !== null && edited.warning !== '') {
    const sentence = `The file was edited by hand: ${edited.warning}. Undo it under "Last change"`
    found.push({ level: 'trouble', sentence })
  }
  if (edited !== null && edited.unwritten !== '') {
    const sentence = `An edit by hand could not be written into the history: ${edited.unwritten}`
    found.push({ level: 'watch', sentence })
  }
  if (served.state === 'different' && now - served.since > SERVING_GRACE_MS) {
    const sentence = `flagd does not serve what the file says: ${served.detail}`
    found.push({ level: 'trouble', sentence })
  }
  if (served.state === 'unknown' && served.detail !== '') {
    found.push({ level: 'unknown', sentence: `flagd cannot be asked: ${served.detail}` })
  }
  if (served.state === 'unreachable') {
    found.push({ level: 'watch', sentence: 'flagd does not answer: changes cannot be confirmed' })
  }
  return found
}

function flagOutageFindings({ down, told, process, since }: FlagOutagesReading): Finding[] {
  if (down === 0) return []
  const who = down === 1 ? process : `${down} of ${told} processes`
  const [does, its, keep] = down === 1 ? ['does', 'its', 'It keeps'] : ['do', 'their', 'They keep']
  const sentence = `${who} ${does} not reach the source of ${its} flags${sinceText(since)}. ${keep} the side of known users, and others get the old side`
  return [{ level: 'watch', sentence }]
}

function fleetFindings({ fleet, flag, switches }: HeadlineInput): Finding[] {
  const { arms, replicas, eventLoopDelay } = fleet
  if (replicas.length === 0) {
    return [
      {
        level: 'unknown',
        sentence: 'No metrics are read: start the page with --metrics URL of each replica',
      },
    ]
  }
  const found: Finding[] = []
  const silent = replicas.filter(({ live }) => !live)
  const [first] = silent
  if (first !== undefined) {
    const all = silent.length === replicas.length
    const who = silent.length === 1 ? first.url : `${silent.length} of ${replicas.length} replicas`
    const what = all ? 'No metrics' : `No metrics of ${who}`
    const since = sinceText(first.heardAt)
    const rest = all ? '' : '; the numbers are those of the others'
    const sentence = `${what}${since}: ${first.error}${rest}`
    found.push({ level: all ? 'trouble' : 'watch', sentence })
  } else if (arms === undefined) {
    found.push({ level: 'unknown', sentence: 'Waiting for the second scrape' })
  } else if (arms.all.operations === 0) {
    found.push(silenceFinding(flag.name, fleet, switches))
  }
  if (eventLoopDelay !== null && eventLoopDelay > WATCH_LOOP_DELAY_MS) {
    const sentence = `The application's event loop is ${Math.round(eventLoopDelay)} ms late`
    found.push({ level: 'watch', sentence })
  }
  return found
}

/** Nothing happens on what the page's flag picks; what else the processes have may say why. */
function silenceFinding(
  flag: string,
  { of, hasCache }: FleetReading,
  switches: readonly SwitchReading[],
): Finding {
  const others = [...new Set(switches.map((one) => one.flag))].filter((name) => name !== '')
  const [first] = others
  if (of === 'cache' && !hasCache && first !== undefined && !others.includes(flag)) {
    const asked = others.length === 1 ? first : `${first} and ${others.length - 1} more`
    const sentence = `Nothing in these processes uses ${flag}; their switches use ${asked}. Start the page with --flag ${first}`
    return { level: 'watch', sentence }
  }
  const busy = switches.some(({ methods }) =>
    methods.some(({ off, on }) => off.operations + on.operations > 0),
  )
  const sentence = busy ? 'No traffic on the cache; the other switches have some' : 'No traffic'
  return { level: 'unknown', sentence }
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`
}
