import { clock } from '../../../clock.ts'
import { readFile } from 'node:fs/promises'
import { quote, SwitchbackError } from '../../../errors.ts'
import {
  type AuditEntry,
  type CreateGuardOptions,
  createSharedGuard,
  fileStore,
  type GuardFiles,
  guardFiles,
  GuardMetrics,
  type GuardState,
  type GuardStatus,
  leaseHolder,
  leaveApproval,
  parsePlan,
  type Plan,
  readStatus,
  viewOf,
} from '../../../guard/index.ts'
import {
  type Command,
  type Environment,
  exitCode,
  type Output,
  usageError,
} from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { printJson } from '../../framework/format.ts'
import { METRICS, metricsOption } from '../../changing/metrics-option.ts'
import { namedMetrics } from '../../changing/processes-option.ts'
import { statusText } from '../../guarding/status-text.ts'
import { listenForMetrics } from '../../guarding/listen.ts'
import { sharedNotes } from '../../guarding/shared-notes.ts'
import { giveOrder } from '../../guarding/orders.ts'
import { testNotify, withReceivers } from '../../guarding/with-receivers.ts'
import type { Style } from '../../framework/style.ts'
import { findTarget, followed, targetOptions, whoAmI } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'guard [options]',
  summary: 'compares both sides, and widens, holds or rolls back by itself',
  details: `Runs until Ctrl-C. Widens along the plan while the new side is within its harm budget, rolls everybody
back when it is proven worse than tolerated, and stops acting when the split is edited by hand. A resumed
one starts with no evidence, a restarted one continues with what it had. Every decision is a line of <flags file>.guard.jsonl with the numbers behind it. The bearer token of a
Prometheus server is read from SWITCHBACK_PROMETHEUS_TOKEN, the key that signs webhooks from
SWITCHBACK_NOTIFY_SECRET.`,
  options: {
    ...targetOptions,
    plan: { type: 'string', value: 'FILE', help: 'steps, margins, sources; YAML or JSON' },
    ...metricsOption,
    prometheus: { type: 'string', value: 'URL', help: 'read a Prometheus server instead' },
    'dry-run': { type: 'boolean', help: 'only report what it would do' },
    ask: { type: 'boolean', help: 'wait for an approval before each step' },
    approve: {
      type: 'string',
      value: 'PERCENT',
      help: 'approve the step that a running guard waits for',
    },
    notify: {
      type: 'string',
      multiple: true,
      value: 'URL',
      help: 'tell this webhook of every step, rollback, alarm and yield; $NAME: of the environment (repeatable)',
    },
    'notify-command': {
      type: 'string',
      multiple: true,
      value: 'PROGRAM',
      help: 'run this program with the same message on its standard input (repeatable)',
    },
    'test-notify': {
      type: 'boolean',
      help: 'send a test message to every receiver of the plan, and end',
    },
    pause: { type: 'boolean', help: 'a running guard takes no step; it still rolls back' },
    unpause: { type: 'boolean', help: 'ends the pause' },
    promote: {
      type: 'boolean',
      help: 'a running guard takes the next step now, without waiting for proof',
    },
    listen: {
      type: 'string',
      value: '[HOST:]PORT',
      help: "serve the guard's own /metrics and /healthz there (HOST: 127.0.0.1)",
    },
    status: { type: 'boolean', help: 'print what the running guard waits for, and how long' },
    resume: { type: 'boolean', help: 'act again after a rollback or an edit by hand' },
    from: {
      type: 'string',
      value: 'PERCENT',
      help: 'with --resume: start at this step of the plan',
    },
    force: { type: 'boolean', help: 'with --resume: even if the new side cannot be reached' },
    forget: { type: 'boolean', help: 'start as if no guard had ever run here' },
    'until-done': {
      type: 'boolean',
      help: 'end at the last step (exit code 0), or after a rollback or an edit by hand (1)',
    },
  },
  examples: [
    ['switchback guard --dry-run', 'what it would do with the application on this machine'],
    ['switchback guard --plan rollout.yaml --ask', 'along a plan, asking before each wider step'],
    ['switchback guard --plan rollout.yaml --test-notify', 'are the receivers of messages there?'],
    ['switchback guard --approve 25', 'approves the step to 25 % that a running guard waits for'],
    ['switchback guard --promote', 'the next step now: the person who says so takes the risk'],
    ['switchback guard --status', 'what it waits for, and how long'],
  ],
  async run({ values, env, stdout, stderr, style, signal }) {
    const plan = await readPlan(values, env)
    const target = await findTarget({ ...values, flag: values.flag ?? plan.flag }, env)
    const { flag, file } = target
    if (values.approve !== undefined) {
      const percent = Number(values.approve.replace(/%$/, ''))
      if (!(percent > 0 && percent <= 100)) {
        throw usageError(`${quote(values.approve)} is not a share in percent`, 'write --approve 25')
      }
      const files = guardFiles(file, flag)
      const { awaiting } = (await awaited(files, flag)) ?? {}
      if (awaiting !== percent) {
        const instead = awaiting === undefined ? '' : `, but for ${awaiting} %`
        stderr.write(`no guard is waiting for ${percent} %${instead}; nothing was approved\n`)
        return exitCode.refused
      }
      await leaveApproval(files.state, percent)
      stdout.write(`approved: the guard may move to ${percent} % if the evidence allows it\n`)
      return exitCode.done
    }
    if (values['test-notify']) return testNotify(plan, flag, { env, stdout, style })
    if (values.pause || values.unpause || values.promote) {
      return giveOrder({ ...target, values, who: whoAmI(env).who, stdout, stderr })
    }
    if (values.status)
      return tellStatus(guardFiles(file, flag), flag, values.json, { stdout, style })
    const from = firstStep(values.from, values.resume, plan)
    const token = env['SWITCHBACK_PROMETHEUS_TOKEN']
    const metrics = new GuardMetrics(flag)
    const done = new AbortController()
    const running = AbortSignal.any([signal, done.signal])
    const name = `guard of ${whoAmI(env).who}`
    const shared = values['dry-run']
      ? undefined
      : await sharedNotes(file, name, (line) => void stderr.write(`${line}\n`))
    const options: CreateGuardOptions = {
      ...followed(target, running),
      plan,
      name,
      env,
      dryRun: values['dry-run'],
      resume: values.resume,
      force: values.force,
      forget: values.forget,
      ...(from === undefined ? {} : { from }),
      ...(token === undefined ? {} : { prometheusToken: token }),
      onAudit: (entry) => {
        metrics.count(entry)
        if (values.json) printJson(stdout, entry)
        else stdout.write(auditText(entry, style))
      },
    }
    const guard = createSharedGuard(options, shared)
    let last: GuardStatus | undefined
    const tell = values.json ? () => {} : narrator(stdout, style)
    if (!values.json) stdout.write(`guard of ${flag} (${file}): steps ${plan.steps.join(', ')} %\n`)
    const lateMs = Math.max(15_000, 5 * plan.intervalMs)
    await using listening =
      values.listen === undefined
        ? undefined
        : await listenForMetrics({ address: values.listen, metrics, lateMs })
    if (listening !== undefined && !values.json) stdout.write(`metrics: ${listening.url}/metrics\n`)
    try {
      await guard.run(running, (status) => {
        last = status
        metrics.see(status)
        tell(status)
        if (values['until-done'] && isOver(status)) done.abort()
      })
    } finally {
      done.abort()
    }
    const failed = values['until-done'] && last?.phase !== 'finished'
    return failed ? exitCode.refused : exitCode.done
  },
})

/** Where a resumed rollout begins. */
function firstStep(from: string | undefined, resume: boolean, plan: Plan): number | undefined {
  if (from === undefined) return undefined
  if (!resume) throw usageError('--from without --resume', 'add --resume, or leave --from out')
  const percent = Number(from.replace(/%$/, ''))
  if (plan.steps.includes(percent)) return percent
  throw usageError(
    `--from ${quote(from)} is not a step of the plan`,
    `give one of ${plan.steps.join(', ')}`,
  )
}

/** What the guard that acts thinks, wherever it runs beside this flags file. */
async function tellStatus(
  files: GuardFiles,
  flag: string,
  json: boolean,
  { stdout, style }: { readonly stdout: Output; readonly style: Style },
): Promise<number> {
  const found = await readStatus(files.status)
  const status = found?.flag === flag ? found : undefined
  const running = status !== undefined && (await leaseHolder(files.lease)) !== ''
  if (json) printJson(stdout, { ok: running, command: 'guard', running, ...status })
  else stdout.write(statusText(status, running, flag, style))
  return running ? exitCode.done : exitCode.refused
}

/** The known state of the guard of a flag, if one runs. */
async function awaited(
  { state, lease }: GuardFiles,
  flag: string,
): Promise<GuardState | undefined> {
  if ((await leaseHolder(lease)) === '') return undefined
  const known = await fileStore(state).load()
  return known?.flag === flag ? known : undefined
}

interface PlanValues {
  readonly plan: string | undefined
  readonly metrics: readonly string[]
  readonly prometheus: string | undefined
  readonly ask: boolean
  readonly notify: readonly string[]
  readonly 'notify-command': readonly string[]
}

/** The options win over the plan. */
async function readPlan(values: PlanValues, env: Environment): Promise<Plan> {
  const { plan: file, metrics, prometheus, ask } = values
  if (metrics.length > 0 && prometheus !== undefined) {
    throw usageError('--metrics and --prometheus exclude each other', 'give one of them')
  }
  const plan = withReceivers(parsePlan(file === undefined ? '' : await readText(file)), values)
  const { sources } = plan
  const advance = ask ? 'ask' : plan.advance
  if (prometheus !== undefined) {
    const url = { url: prometheus, matchers: sources.prometheus?.matchers ?? '' }
    return { ...plan, advance, sources: { replicas: [], prometheus: url } }
  }
  if (metrics.length > 0) {
    return {
      ...plan,
      advance,
      sources: { replicas: namedMetrics(metrics, env), prometheus: undefined },
    }
  }
  if (sources.replicas.length > 0 || sources.prometheus !== undefined) {
    return { ...plan, advance, sources }
  }
  const replicas = namedMetrics([], env)
  return {
    ...plan,
    advance,
    sources: { ...sources, replicas: replicas.length > 0 ? replicas : [METRICS] },
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new SwitchbackError('SB_FILE_MISSING', `The plan ${quote(file)} cannot be read`, {
      hint: 'Name it with --plan, or leave the option out for the default steps.',
      cause,
    })
  }
}

/** A rollback is complete when flagd and the replicas follow it. */
function isOver({ phase, standbyFor, alarms }: GuardStatus): boolean {
  if (standbyFor !== '') return false
  if (phase === 'rolled back') return !alarms.some(({ code }) => code === 'not-served')
  return phase === 'finished' || phase === 'yielded'
}

const LOUD = new Set(['alarm', 'rollback', 'yield', 'incident', 'page'])

function auditText(
  { at, action, from, to, reason, dryRun, servedMs }: AuditEntry,
  style: Style,
): string {
  const move = from === to ? `at ${from} %` : `${from} % -> ${to} %`
  const served = servedMs === undefined ? '' : `, served after ${servedMs} ms`
  const verb = dryRun ? `would ${action}` : action
  const head = LOUD.has(action) ? style.red(verb) : style.bold(verb)
  return `${style.dim(at.slice(11, 19))}  ${head} ${move}${served}: ${reason}\n`
}

/** Prints the guard's view when it changes, numbers aside, and at least once a minute. */
function narrator(stdout: Output, style: Style): (status: GuardStatus) => void {
  let said = ''
  let saidAt = 0
  return (status) => {
    const { sentence, at } = viewOf(status)
    const news = sentence.replaceAll(/[\d.,]+/g, '#')
    if (news === said && at - saidAt < 60_000) return
    said = news
    saidAt = at
    stdout.write(style.dim(`${clock(at)}  ${sentence}\n`))
  }
}
