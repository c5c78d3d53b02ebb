import {
  guardFiles,
  leaseHolder,
  leaveOrder,
  type Order,
  type PublishedStatus,
  readStatus,
} from '../../guard/index.ts'
import type { FlagsFile } from '../../rollout/index.ts'
import { exitCode, type Output, usageError } from '../framework/command.ts'

export interface OrderOptions {
  readonly flag: string
  readonly file: FlagsFile
  readonly who: string
  readonly values: {
    readonly pause: boolean
    readonly unpause: boolean
    readonly promote: boolean
  }
  readonly stdout: Output
  readonly stderr: Output
}

/** `--pause`, `--unpause` and `--promote`: what a person wants of the guard that runs. */
export async function giveOrder(options: OrderOptions): Promise<number> {
  const { flag, file, who, values, stdout, stderr } = options
  const kinds = (['pause', 'unpause', 'promote'] as const).filter((kind) => values[kind])
  const [kind = 'pause', other] = kinds
  if (other !== undefined) {
    throw usageError(`--${kind} and --${other} exclude each other`, 'give one of them')
  }
  const files = guardFiles(file, flag)
  const status = await readStatus(files.status)
  if (status?.flag !== flag || (await leaseHolder(files.lease)) === '') {
    stderr.write(`no guard runs for ${flag}; nothing was ordered\n`)
    return exitCode.refused
  }
  const order: Order | string = kind === 'promote' ? promotion(status, who) : { kind, who }
  if (typeof order === 'string') {
    stderr.write(`${order}; nothing was ordered\n`)
    return exitCode.refused
  }
  await leaveOrder(files.state, order)
  const { name } = status
  const done = {
    pause: `${name} takes no step from now on; it still rolls back`,
    unpause: `${name} takes steps again`,
    promote: `${name} moves to ${'to' in order ? order.to : 0} % at its next look`,
  }
  stdout.write(`${done[kind]}\n`)
  return exitCode.done
}

/** The order for the next step, or why there can be none. */
function promotion({ summary }: PublishedStatus, who: string): Order | string {
  const { mode, plan, percent, holding } = summary
  if (mode !== 'acting') return `the guard does not act: ${summary.sentence}`
  const to = plan.steps.find((step) => step > percent + 1e-9)
  if (to === undefined) return `${percent} % is the last step`
  if (holding !== '') return `an alarm holds the rollout: ${holding}`
  return { kind: 'promote', who, to }
}
