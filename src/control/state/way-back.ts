import type { FlagReading } from './flag-watch.ts'
import type { FleetReading } from '../metrics/index.ts'
import { WINDOW_S } from '../metrics/replica.ts'
import type { ProcessesReading } from './process-judge.ts'

/** Whether all users are on the old side, as far as can be known. */
export interface WayBack {
  /**
   * - `open`: the file does not send everyone to the old side;
   * - `waiting`: it does since a moment ago, and not all have it yet;
   * - `back`: all answers agree that everyone is on the old side;
   * - `not-back`: some users are still on the new side;
   * - `unsure`: there is no answer.
   */
  readonly state: 'open' | 'waiting' | 'back' | 'not-back' | 'unsure'
  /** The cause of the delay; `''` when open or back. */
  readonly sentence: string
  /** What to do about it; `''` when nothing is needed. */
  readonly next: string
}

export interface WayBackInput {
  /** Epoch milliseconds. */
  readonly now: number
  readonly flag: FlagReading
  /** Epoch milliseconds since when the file is unchanged. */
  readonly changedAt: number
  readonly fleet: FleetReading
  readonly processes: ProcessesReading
}

/** flagd's watcher needs a second or two for an edit; in milliseconds. */
const GRACE_MS = 4000
/** For so long the rates still include traffic of before the change, in milliseconds. */
const TRAFFIC_GRACE_MS = (WINDOW_S + 2) * 1000
/** A smaller share of the operations may be rounding. */
const LEAST_SHARE = 0.0005

/** Pure: the same readings give the same answer. */
export function wayBackOf(input: WayBackInput): WayBack {
  const { now, flag, changedAt, fleet, processes } = input
  if (!wantsBack(flag)) return { state: 'open', sentence: '', next: '' }
  const { served } = flag
  const young = now - changedAt < GRACE_MS
  const onNow = processes.list.filter(({ onShare }) => (onShare ?? 0) > 0)
  const refusing = processes.list.filter(({ refuses }) => refuses !== '')
  const silent = processes.list.filter((each) => each.silent)
  const untold = processes.list.filter((each) => !each.silent && each.onShare === null)
  const told = processes.list.some(({ onShare }) => onShare !== null)
  const traffic = trafficShare(fleet)
  const trafficOn = traffic !== undefined && traffic > LEAST_SHARE
  const gone = served.state === 'unreachable'
  const reasons = [
    gone ? 'flagd does not answer' : '',
    served.state === 'different' ? `flagd serves something else: ${served.detail}` : '',
    ...refusing
      .slice(0, 2)
      .map(({ process, refuses }) => `${process} refuses the flags: ${refuses}`),
    onNow.length > 0 ? stillOn(onNow.length, processes.known) : '',
    silent.length > 0 ? `${silent[0]?.process} ${silent[0]?.cause}` : '',
    untold.length > 0 ? `${untold[0]?.process} ${untold[0]?.cause}` : '',
    trafficOn ? trafficText(traffic, processes.newSide) : '',
  ].filter((reason) => reason !== '')
  const told0 = told && onNow.length === 0 && untold.length === 0 && silent.length === 0
  const next = nextStep(input, refusing.length > 0, silent.length > 0, told0)
  const late = now - changedAt > TRAFFIC_GRACE_MS
  // The rates of the last seconds lag behind processes that report their decisions.
  const trafficCounts = trafficOn && (late || (!told0 && (gone || !young)))
  if (onNow.length > 0 || trafficCounts || refusing.length > 0 || served.state === 'different') {
    const waiting = young && !gone && refusing.length === 0
    return { state: waiting ? 'waiting' : 'not-back', sentence: reasons.join('; '), next }
  }
  const byFlagd = served.state === 'same' && silent.length === 0
  const byTraffic = traffic === 0 && late && silent.length === 0
  if (told0 || (!told && (byFlagd || byTraffic))) {
    return { state: 'back', sentence: '', next: '' }
  }
  if (young && !gone && silent.length === 0) {
    return { state: 'waiting', sentence: 'not all have it yet', next }
  }
  const sentence = reasons.length > 0 ? reasons.join('; ') : 'neither a process nor flagd answers'
  return { state: 'unsure', sentence, next }
}

function wantsBack({ error, description }: FlagReading): boolean {
  if (error !== null || description === null) return false
  return description.state === 'DISABLED' || (description.share === 0 && description.pilots === 0)
}

/** Share of the operations that went to the new side; `undefined` without traffic. */
function trafficShare({ arms }: FleetReading): number | undefined {
  if (arms === undefined || arms.all.operations === 0) return undefined
  return arms.on.operations / arms.all.operations
}

function stillOn(count: number, known: number): string {
  return `${count} of ${known} ${known === 1 ? 'process still sends' : 'processes still send'} users to the new side`
}

function trafficText(share: number, newSide: string): string {
  const name = newSide === '' ? '' : ` (${newSide.charAt(0).toUpperCase()}${newSide.slice(1)})`
  const percent = Math.max(1, Math.round(share * 100))
  return `${percent} % of operations still go to the new side${name}`
}

function nextStep(
  { flag }: WayBackInput,
  refused: boolean,
  silent: boolean,
  follow: boolean,
): string {
  if (refused)
    return 'Correct what the process refuses (switchback validate), then roll back again.'
  if (flag.served.state === 'unreachable') {
    return 'Restart flagd. If that takes time, restart the processes: without flags they start on the old side.'
  }
  if (flag.served.state === 'different') {
    return 'Restart flagd: its file watch may have failed, or it reads another file (switchback doctor).'
  }
  if (silent) return 'Restart or end the process that does not answer: it keeps its side.'
  if (follow) {
    return `All follow; these are the operations of the last ${WINDOW_S} s. If they go on, a process is not named to this page.`
  }
  return 'Look at /readyz and the log of the processes, and restart those that do not follow.'
}
