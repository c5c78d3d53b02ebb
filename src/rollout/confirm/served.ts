import { askIfThere } from './confirm.ts'
import type { FlagsDocument } from '../file/document.ts'
import { createOfrepClient } from './ofrep-client.ts'
import { boundaryProbes } from '../users/probes.ts'

/** What flagd serves, compared with what the file says. */
export interface ServedComparison {
  /** `same`: every probe got what the file says. `unreachable`: none could be asked. */
  readonly state: 'same' | 'different' | 'unreachable'
  readonly probes: number
  readonly agreeing: number
  /** What is wrong, for people; `''` when nothing is. */
  readonly detail: string
}

/**
 * Asks flagd for users next to the boundary of the split and compares with the file. Never throws
 * for what flagd does.
 */
export async function compareServed(
  document: FlagsDocument,
  options: {
    readonly flag: string
    readonly url?: string
    readonly probes?: number
    readonly timeoutMs?: number
    readonly signal?: AbortSignal
  },
): Promise<ServedComparison> {
  const { flag, url, probes: count = 40, timeoutMs, signal } = options
  using client = createOfrepClient({
    ...(url === undefined ? {} : { url }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })
  const probes = await boundaryProbes(document, flag, count)
  const none = { state: 'unreachable', probes: 0, agreeing: 0 } as const
  if (probes.length === 0) return { ...none, detail: 'no test user found' }
  const answers = await askIfThere(client, flag, probes, signal)
  if (answers instanceof Error) return { ...none, detail: answers.message }
  let agreeing = 0
  let detail = ''
  for (const [index, probe] of probes.entries()) {
    const served = answers[index]
    if (served === undefined || served instanceof Error) detail = served?.message ?? ''
    else if (served.answer === probe.after) agreeing++
    else {
      const got = served.errorCode === '' ? served.answer : served.errorCode
      detail = `flagd answers ${got}, the file says ${probe.after}`
    }
  }
  const state = agreeing === probes.length ? 'same' : 'different'
  return { state, probes: probes.length, agreeing, detail: state === 'same' ? '' : detail }
}
