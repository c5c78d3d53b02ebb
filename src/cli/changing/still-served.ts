import { probeUsers } from '../../flagfile/index.ts'
import { askIfThere, createOfrepClient } from '../../rollout/index.ts'
import { type ProcessAnswer, type ProcessesOptions, processSources } from '../../scrape/index.ts'

/** Who is asked what is still served, while the file cannot be read. */
export interface StillServedOptions {
  readonly flag: string
  /** `false`: flagd is not asked. */
  readonly flagd: string | false
  readonly processes: ProcessesOptions | undefined
  readonly signal: AbortSignal
}

/** What flagd and the processes serve whatever the file says now; `''` of who was not asked. */
export async function stillServed(
  options: StillServedOptions,
): Promise<{ readonly flagd: string; readonly apps: string }> {
  const [flagd, apps] = await Promise.all([ofFlagd(options), ofProcesses(options)])
  return { flagd, apps }
}

async function ofFlagd({ flag, flagd, signal }: StillServedOptions): Promise<string> {
  if (flagd === false) return ''
  using client = createOfrepClient({ url: flagd })
  const probes = probeUsers(flag).map((user) => ({ user, before: '', after: '' }))
  const answers = await askIfThere(client, flag, probes, signal)
  if (answers instanceof Error) return answers.message
  const counts = new Map<string, number>()
  for (const served of answers) {
    const answer = served instanceof Error ? served.message : served.errorCode || served.answer
    counts.set(answer, (counts.get(answer) ?? 0) + 1)
  }
  const parts = [...counts].map(([answer, count]) => `${answer} to ${count}`)
  return `still answers ${parts.join(', ')} of ${probes.length} test users`
}

async function ofProcesses({ flag, processes, signal }: StillServedOptions): Promise<string> {
  if (processes === undefined) return ''
  const sources = await processSources(processes)
  const answers = await Promise.all(sources.map((source) => source.read(flag, signal)))
  return answers.flat().map(textOf).join('\n')
}

function textOf({ process, reading, error }: ProcessAnswer): string {
  const [split] = reading?.splits ?? []
  if (reading === undefined) return `${process} ${error}`
  if (split === undefined) return `${process} does not tell what it decides`
  return `${process} still sends ${split.on} of ${split.probes} test users to the new side`
}
