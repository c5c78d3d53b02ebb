import { messageOf } from '../../errors.ts'
import type { Applied } from '../file/apply.ts'
import type { ChangeOptions, ChangeResult } from '../change.ts'
import { confirm, type Confirmation } from './confirm.ts'
import { confirmProcesses } from './confirm-processes.ts'
import type { FlagsDocument } from '../file/document.ts'
import type { FlagsEdit } from '../file/edit.ts'
import { type Expectation, expectationOf } from '../users/expectation.ts'
import { type Probes, probesForEdit } from '../users/probes.ts'

/** Which users to ask flagd about, and the expected answers. */
export interface Questions {
  readonly probes: Probes | undefined
  readonly expected: Expectation | undefined
  readonly before: Expectation | undefined
}

export type Answers = Pick<ChangeResult, 'confirmation' | 'processes'>

export const nobody: Questions = { probes: undefined, expected: undefined, before: undefined }

/** Computed before the write, so that all are asked from the moment they could have the change. */
export async function questionsFor(edit: FlagsEdit, options: ChangeOptions): Promise<Questions> {
  const { flagd, processes, probes: count = 20, insist = false } = options
  const { flag, before, after } = edit
  const probes =
    flagd === false
      ? undefined
      : await probesForEdit(edit, { count, patienceMs: insist ? 500 : 3000 })
  const named = (processes?.metrics?.length ?? 0) > 0 || processes?.prometheus !== undefined
  if (!named) return { ...nobody, probes }
  return { probes, expected: expectationOf(after, flag), before: beforeOf(before, flag) }
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

/**
 * Asks flagd and the processes at the same time, until both have the change.
 *
 * @param once ask each once, and do not wait
 */
export async function ask(
  questions: Questions,
  options: ChangeOptions,
  applied: Applied | undefined,
  once = false,
): Promise<Answers> {
  const { flag, flagd, timeoutMs, processes, onLag, signal } = options
  const { probes, expected, before } = questions
  const common = {
    flag,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(applied === undefined ? {} : { since: applied.at }),
    ...(signal === undefined ? {} : { signal }),
  }
  const hurry = new AbortController()
  const askFlagd = async (): Promise<Confirmation | undefined> => {
    if (probes === undefined) return undefined
    const url = flagd === undefined || flagd === false ? {} : { url: flagd }
    try {
      const so = await confirm({ ...common, ...url, probes, once })
      if (!so.confirmed && !once) setTimeout(() => hurry.abort(), graceMs).unref()
      return so
    } catch (error) {
      if (applied === undefined) throw error
      return unanswered(probes, error, signal?.aborted === true)
    }
  }
  const [confirmation, decided] = await Promise.all([
    askFlagd(),
    expected === undefined || processes === undefined
      ? undefined
      : confirmProcesses({
          ...common,
          processes,
          expected,
          before,
          once,
          hurry: hurry.signal,
          ...(onLag === undefined ? {} : { onLag }),
        }),
  ])
  if (applied === undefined) signal?.throwIfAborted()
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
