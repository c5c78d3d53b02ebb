import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { isSwitchbackError, quote } from '../../../errors.ts'
import { type AuditLine, type ControlOptions, startControl } from '../../../control/index.ts'
import { parsePlan, type Plan } from '../../../guard/index.ts'
import { type Command, type Environment, exitCode, usageError } from '../../framework/command.ts'
import { guardBeside, type GuardBesideMode } from '../../controlling/guard-beside.ts'
import { defineCommand } from '../../framework/define.ts'
import { METRICS, metricsOption } from '../../changing/metrics-option.ts'
import { namedMetrics } from '../../changing/processes-option.ts'
import { findTarget, followed, targetOptions, whoAmI } from '../../changing/target.ts'

export const command: Command = defineCommand({
  usage: 'control [options]',
  summary: 'serves the control page: both sides live, the split, rollback by one click',
  details:
    'Serves one page and its API (/openapi.json) on 127.0.0.1:3001. On any other address, changes ' +
    'need a token: SWITCHBACK_CONTROL_TOKEN or --token-file. Every attempt at a change is logged on ' +
    'stderr. A guard runs with it and shows its evidence; it changes the split only with --guard ask or act.',
  options: {
    ...targetOptions,
    ...metricsOption,
    'no-metrics': { type: 'boolean', help: 'read no metrics' },
    guard: {
      type: 'string',
      value: 'MODE',
      help: 'act: widen and roll back; ask: roll back, widen after approval; watch; off (watch)',
    },
    plan: {
      type: 'string',
      value: 'FILE',
      help: "the guard's steps, margins, sources; YAML or JSON",
    },
    port: { type: 'string', value: 'PORT', help: 'port to listen on, 0 for any free one (3001)' },
    host: { type: 'string', value: 'HOST', help: 'address to listen on (127.0.0.1)' },
    'allow-host': {
      type: 'string',
      multiple: true,
      value: 'NAME',
      help: 'host name under which browsers reach it, e.g. behind a proxy (repeatable)',
    },
    'token-file': { type: 'string', value: 'FILE', help: 'file with the token that changes need' },
  },
  examples: [
    ['switchback control', 'the page for the application on this machine'],
    [
      'switchback control --metrics http://10.0.0.5:3002/metrics --metrics http://10.0.0.6:3002/metrics',
      'two replicas elsewhere',
    ],
    [
      'switchback control --host 0.0.0.0 --token-file /run/secrets/control --allow-host control.internal',
      'for the whole team',
    ],
  ],
  async run({ values, env, stdout, stderr, signal }) {
    const mode = guardMode(values.guard)
    const plan = await readPlan(values.plan)
    const found = await findTarget({ ...values, flag: values.flag ?? plan.flag }, env)
    const token = await readToken(values['token-file'], env)
    const asked = namedMetrics(values.metrics, env)
    const named = asked.length > 0 ? asked : plan.sources.replicas
    const guessed = named.length === 0
    const replicas = values['no-metrics'] ? [] : guessed ? [METRICS] : named
    const who = whoAmI(env).who
    const stop = new AbortController()
    const target = followed(found, AbortSignal.any([signal, stop.signal]))
    const guard =
      mode === 'off' || !(replicas.length > 0 || plan.sources.prometheus !== undefined)
        ? undefined
        : guardBeside({
            mode,
            target,
            plan: { ...plan, sources: { ...plan.sources, replicas } },
            name: `guard of ${who}`,
            env,
            prometheusToken: env['SWITCHBACK_PROMETHEUS_TOKEN'],
            signal: AbortSignal.any([signal, stop.signal]),
            say: (line) => stderr.write(`${line}\n`),
          })
    try {
      await using control = await startControl({
        ...target,
        replicas,
        guessed,
        prometheus: prometheusOf(plan, env),
        port: port(values.port),
        allowedHosts: values['allow-host'],
        operator: who,
        onAudit: (line) =>
          stderr.write(
            `${values.json ? JSON.stringify(signed(line, who)) : auditText(signed(line, who))}\n`,
          ),
        ...(guard === undefined ? {} : { guard }),
        ...(values.host === undefined ? {} : { host: values.host }),
        ...(token === undefined ? {} : { token }),
      })
      const { flag, file, flagd } = target
      const { url } = control
      stdout.write(
        values.json
          ? `${JSON.stringify({ ready: true, url, flag, file, flagd, replicas, guard: mode })}\n`
          : `control page for ${flag} (${file}): ${url}\n`,
      )
      if (!signal.aborted) await once(signal, 'abort')
    } finally {
      stop.abort()
      await guard?.done
    }
    return exitCode.done
  },
})

function guardMode(value: string | undefined): GuardBesideMode | 'off' {
  const modes = ['act', 'ask', 'watch', 'off'] as const
  const mode = modes.find((each) => each === (value ?? 'watch'))
  if (mode !== undefined) return mode
  throw usageError(`--guard cannot be ${quote(value)}`, `give one of ${modes.join(', ')}`)
}

function prometheusOf(plan: Plan, env: Environment): ControlOptions['prometheus'] {
  const token = env['SWITCHBACK_PROMETHEUS_TOKEN']
  const { prometheus } = plan.sources
  return prometheus && { ...prometheus, ...(token === undefined ? {} : { token }) }
}

async function readPlan(file: string | undefined): Promise<Plan> {
  if (file === undefined) return parsePlan('')
  try {
    return parsePlan(await readFile(file, 'utf8'))
  } catch (error) {
    if (isSwitchbackError(error)) throw error
    throw usageError(`cannot read the plan ${quote(file)}`, 'name a file with --plan')
  }
}

/** A change without a name is the operator's, in the history too. */
function signed(line: AuditLine, operator: string): AuditLine {
  return line.who === '' ? { ...line, who: operator } : line
}

function auditText({ at, who, from, action, status, outcome, ms }: AuditLine): string {
  return `${at} ${action} by ${who} (${from}): ${outcome} (${status}, ${ms} ms)`
}

async function readToken(file: string | undefined, env: Environment): Promise<string | undefined> {
  if (file === undefined) return env['SWITCHBACK_CONTROL_TOKEN'] || undefined
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch {
    throw usageError(`cannot read ${quote(file)}`, 'name a file with --token-file')
  }
}

function port(value: string | undefined): number {
  if (value === undefined) return 3001
  if (/^\d{1,5}$/.test(value) && Number(value) <= 65_535) return Number(value)
  throw usageError(`--port cannot be ${quote(value)}`, 'give a number from 0 to 65535')
}
