import { messageOf } from '../../errors.ts'
import type { ChangeOptions, ChangeResult } from '../change.ts'
import { confirm, type Confirmation } from './confirm.ts'
import { confirmProcesses, type ProcessConfirmation } from './confirm-processes.ts'
import type { FlagsDocument } from '../file/document.ts'
import type { FlagsEdit } from '../file/edit.ts'
import { type Expectation, expectationOf } from '../users/expectation.ts'
import { type Probes, probesForEdit } from '../users/probes.ts'

export type Answers = Pick<ChangeResult, 'confirmation' | 'processes'>

/** Whether anybody is named who can be asked, and then who must be able to evaluate the edit. */
export function asksAnybody({ flagd, processes }: ChangeOptions): boolean {
  return flagd !== false || namesProcesses(processes)
}

function namesProcesses(processes: ChangeOptions['processes']): boolean {
  return (processes?.metrics?.length ?? 0) > 0 || processes?.prometheus !== undefined
}

/** Used for messages only: a rule that could not be evaluated is a reason to change it. */
function beforeOf(document: FlagsDocument, flag: string): Expectation | undefined {
  try {
    return expectationOf(document, flag)
  } catch {
    return undefined
  }
}

/** Once flagd has failed, processes without the change cannot receive it any more. */
const graceMs = 500

/** What is known of a write while its history is still being written. */
export interface WrittenAt {
  /** `performance.now()`, from which the times of the answers count. */
  readonly at: number
}

/**
 * Asks flagd and the processes at the same time, until both have the change. The processes are asked
 * while the users for flagd are still looked for.
 *
 * @param written `undefined` when nothing was written: then what goes wrong is thrown
 * @param once ask each once, and do not wait
 */
export async function ask(
  edit: FlagsEdit,
  options: ChangeOptions,
  written: WrittenAt | undefined,
  once = false,
): Promise<Answers> {
  const { flag, flagd, timeoutMs, processes, onLag, signal } = options
  const { probes: count = 20, insist = false } = options
  const common = {
    flag,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(written === undefined ? {} : { since: written.at }),
    ...(signal === undefined ? {} : { signal }),
  }
  const hurry = new AbortController()
  const askProcesses = async (): Promise<ProcessConfirmation | undefined> => {
    if (processes === undefined || !namesProcesses(processes)) return undefined
    return confirmProcesses({
      ...common,
      processes,
      expected: expectationOf(edit.after, edit.flag),
      before: beforeOf(edit.before, edit.flag),
      once,
      hurry: hurry.signal,
      ...(onLag === undefined ? {} : { onLag }),
    })
  }
  const askFlagd = async (): Promise<Confirmation | undefined> => {
    if (flagd === false) return undefined
    const url = flagd === undefined ? {} : { url: flagd }
    let probes: Probes = { movers: [], stayers: [] }
    try {
      probes = await probesForEdit(edit, { count, patienceMs: insist ? 500 : 3000 })
      const so = await confirm({ ...common, ...url, probes, once })
      if (!so.confirmed && !once) setTimeout(() => hurry.abort(), graceMs).unref()
      return so
    } catch (error) {
      if (written === undefined) throw error
      return unanswered(probes, error, signal?.aborted === true)
    }
  }
  const [decided, confirmation] = await Promise.all([askProcesses(), askFlagd()])
  if (written === undefined) signal?.throwIfAborted()
  return { confirmation, processes: decided }
}

/**
 * Once the file is written, the result must reach the caller, whatever happens to the confirmation.
 */
function unanswered(probes: Probes, error: unknown, interrupted: boolean): Confirmation {
  const message = messageOf(error)
  return {
    confirmed: false,
    servedMs: undefined,
    lastMs: undefined,
    probes: probes.movers.length + probes.stayers.length,
    movers: probes.movers.length,
    cause: interrupted ? 'interrupted while waiting for flagd' : message,
    hint: 'switchback status shows whether flagd serves it',
  }
}
