import { type ChangeResult, changesNothing, type ProcessConfirmation } from '../../rollout/index.ts'
import { milliseconds } from '../framework/format.ts'
import { howToName } from './processes-option.ts'
import type { Target } from './target.ts'

/** A line about the result of a change: a label, and the text. */
export interface OutcomeLine {
  readonly label: string
  readonly text: string
  readonly bad: boolean
}

/**
 * The report of a change that was written: who follows it, who does not and why, and what to do.
 */
export function outcomeLines(result: ChangeResult, target: Target): OutcomeLine[] {
  const lines = result.confirmed === false ? unconfirmed(result, target) : confirmed(result, target)
  if (result.processes === undefined) lines.push(line('apps', howToName))
  const warning = newSideWarning(result)
  return warning === '' ? lines : [...lines, line('warning', warning, true)]
}

/** What whoever sends users to the new side must know of it; `''` where all is well, or nobody is sent. */
export function newSideWarning({ edit, processes }: ChangeResult): string {
  if (BACK.has(edit.action) || edit.to === 0) return ''
  const down = newSideDown(processes)
  return down === ''
    ? ''
    : `${down}: ${SERVED_BY_OTHERS}; see why, or route them to the old side with switchback rollback`
}

/** What that means for whom the flag sends there. */
export const SERVED_BY_OTHERS =
  'its users are served by the old side or the origin until it answers'

/** Where the new side is down; `''` where it is not. */
export function newSideDown(processes: ProcessConfirmation | undefined): string {
  const down = processes?.newSideDown ?? []
  const [first] = down
  if (first === undefined) return ''
  const names = down.map(({ process }) => process).join(', ')
  return `the new side${nameOf(first.newSide)} is down at ${down.length} of ${processes?.known} processes (${names})`
}

/** ` (Redis)`; `''` where the name is not told. */
function nameOf(newSide: string): string {
  return newSide === '' ? '' : ` (${newSide.charAt(0).toUpperCase()}${newSide.slice(1)})`
}

function line(label: string, text: string, bad = false): OutcomeLine {
  return { label, text, bad }
}

function confirmed(result: ChangeResult, target: Target): OutcomeLine[] {
  const { applied, confirmation, processes } = result
  const parts: string[] = []
  if (confirmation !== undefined) parts.push(`by flagd${after(confirmation.lastMs, result)}`)
  if (processes !== undefined) {
    const sample = processes.samples === 0 ? '' : ` (${processes.samples} by a sample)`
    parts.push(`${countOf(processes)}${sample}${after(processes.lastMs, result)}`)
  }
  if (parts.length > 0) return [line('served', parts.join('; '))]
  if (applied === undefined) return []
  const why = target.fileMode ? 'the processes read this file themselves' : 'flagd was not asked'
  return [line('written', why)]
}

function after(ms: number | undefined, { edit }: ChangeResult): string {
  return changesNothing(edit) ? '' : ` after ${milliseconds(ms)}`
}

function countOf({ deciding, known }: ProcessConfirmation): string {
  return `${deciding} of ${known} ${known === 1 && deciding === 1 ? 'process' : 'processes'}`
}

const BACK = new Set(['rollback', 'restore', 'disable'])

function unconfirmed(result: ChangeResult, target: Target): OutcomeLine[] {
  const { applied, edit, confirmation, processes } = result
  const back = BACK.has(edit.action)
  const parts: string[] = []
  if (confirmation?.confirmed === false) parts.push(confirmation.cause)
  else if (confirmation !== undefined) parts.push('flagd serves it')
  if (processes !== undefined) parts.push(`${countOf(processes)} decide it`)
  const traffic = back ? trafficText(processes) : ''
  if (traffic !== '') parts.push(traffic)
  const head = back ? 'NOT back yet' : 'NOT everywhere yet'
  const wrote = applied === undefined ? '' : ' (the file is written)'
  const lines = [line(back ? 'back' : 'served', `${head}${wrote}: ${parts.join('; ')}`, true)]
  for (const { process, cause } of processes?.lagging ?? []) {
    lines.push(line('lagging', `${process} ${cause}`, true))
  }
  return [...lines, ...nextSteps(result, target).map((text) => line('next', text))]
}

/** `26 % of operations still go to the new side (Redis)` */
function trafficText(processes: ProcessConfirmation | undefined): string {
  const { onShare = 0, newSide = '' } = processes?.traffic ?? {}
  if (onShare === 0) return ''
  return `${Math.max(1, Math.round(onShare * 100))} % of operations still go to the new side${nameOf(newSide)}`
}

function nextSteps({ confirmation, edit, processes }: ChangeResult, { flag }: Target): string[] {
  const steps: string[] = []
  if (confirmation?.confirmed === false) steps.push(confirmation.hint)
  const lagging = processes?.lagging ?? []
  if (lagging.some(({ refuses }) => refuses !== '')) {
    steps.push('correct what a process refuses (switchback validate), then run this again')
  }
  if (lagging.some(({ silent }) => silent)) {
    steps.push(
      'a process that does not answer keeps its side: check its metrics URL, and restart or end it',
    )
  }
  if (lagging.some(({ silent, on }) => !silent && on === undefined)) {
    steps.push(`name the metrics URL of a process with a cache on "${flag}" and this Switchback`)
  }
  if (lagging.some(({ silent, refuses, on }) => !silent && refuses === '' && on !== undefined)) {
    const connected = confirmation?.confirmed === true ? ' or restart it' : ''
    steps.push(
      confirmation?.confirmed === false && BACK.has(edit.action)
        ? 'a process that is restarted while no flagd answers begins on the old side'
        : `see why a process does not follow "${flag}": its /readyz and log${connected}`,
    )
  }
  return steps.filter((step) => step !== '')
}
