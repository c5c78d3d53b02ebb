import { readFile } from 'node:fs/promises'
import { isSwitchbackError, quote } from '../../errors.ts'
import type { ProcessConfirmation } from '../../rollout/index.ts'
import type { ProcessesOptions } from '../../scrape/index.ts'
import { metricsUrl } from '../../scrape/index.ts'
import { type Environment, usageError } from '../framework/command.ts'

/** The options by which a command that changes the flags finds the processes that must confirm it. */
export const processOptions = {
  metrics: {
    type: 'string',
    multiple: true,
    value: 'URL',
    help: 'metrics URL of an app process to ask (repeatable; or SWITCHBACK_METRICS)',
  },
  prometheus: {
    type: 'string',
    value: 'URL',
    help: 'a Prometheus that scrapes the app processes (SWITCHBACK_PROMETHEUS)',
  },
  plan: {
    type: 'string',
    value: 'FILE',
    help: "the guard's plan, for its replicas or its Prometheus (SWITCHBACK_PLAN)",
  },
} as const

/** For the help of these commands. */
export const processHelp = `Confirmed when flagd serves it and every app process decides it. Name the processes with --metrics,
the guard's --plan or a --prometheus, or in SWITCHBACK_METRICS (separated by commas). A host name that has
many addresses (a headless service) is a process at each. With FLAGD_OFFLINE_FLAG_SOURCE_PATH there is no
flagd: the processes alone confirm. Exit code 3 when not all confirm in time; 0 when none is known.`

/** The last line of the output when no process is known. */
export const howToName =
  'not asked: no app process is known; name each with --metrics http://HOST:3002/metrics or in SWITCHBACK_METRICS'

/** The parsed {@link processOptions}. */
export interface ProcessValues {
  readonly metrics: readonly string[]
  readonly prometheus: string | undefined
  readonly plan: string | undefined
}

/** The processes named by the options, or else by the environment. `undefined`: none. */
export async function findProcesses(
  values: ProcessValues,
  env: Environment,
): Promise<ProcessesOptions | undefined> {
  const given = values.metrics.length > 0 || (values.prometheus ?? values.plan) !== undefined
  const token = env['SWITCHBACK_PROMETHEUS_TOKEN']
  const named = given
    ? { ...values, names: ['--metrics', '--prometheus'] as const }
    : {
        metrics: metricsOf(env),
        prometheus: env['SWITCHBACK_PROMETHEUS'] || undefined,
        plan: env['SWITCHBACK_PLAN'] || undefined,
        names: ['SWITCHBACK_METRICS', 'SWITCHBACK_PROMETHEUS'] as const,
      }
  const { names } = named
  for (const url of named.metrics) checked(url, names[0])
  if (named.prometheus !== undefined) checked(named.prometheus, names[1])
  const plan = named.plan === undefined ? undefined : await sourcesOf(named.plan)
  const metrics = [...named.metrics, ...(plan?.replicas ?? [])]
  const server =
    named.prometheus === undefined ? plan?.prometheus : { url: named.prometheus, matchers: '' }
  if (metrics.length === 0 && server === undefined) return undefined
  const prometheus = server && { ...server, ...(token === undefined ? {} : { token }) }
  return { metrics, prometheus }
}

/** The addresses in `SWITCHBACK_METRICS`. */
function metricsOf(env: Environment): readonly string[] {
  const addresses = (env['SWITCHBACK_METRICS'] ?? '').split(',').map((each) => each.trim())
  return addresses.filter((each) => each !== '')
}

/** The addresses that a command is given, or else those in `SWITCHBACK_METRICS`; each is one. */
export function namedMetrics(given: readonly string[], env: Environment): readonly string[] {
  const [urls, name] =
    given.length > 0 ? [given, '--metrics'] : [metricsOf(env), 'SWITCHBACK_METRICS']
  for (const url of urls) checked(url, name)
  return urls
}

/** Names the option or variable that the address came from. */
function checked(url: string, name: string): void {
  try {
    metricsUrl(url)
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    throw usageError(`${name}: ${error.message}`, error.hint ?? '')
  }
}

async function sourcesOf(
  file: string,
): Promise<{ replicas: readonly string[]; prometheus: ProcessesOptions['prometheus'] }> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch {
    throw usageError(`cannot read the plan ${quote(file)}`, 'name a file with --plan')
  }
  // Of the commands that change the flags, only those with a plan need the guard's modules.
  const { parsePlan } = await import('../../guard/index.ts')
  return parsePlan(text).sources
}

/** What `--json` prints of them. */
export function processesJson({ lagging, ...rest }: ProcessConfirmation): object {
  const told = lagging.map(({ process, cause, on, probes }) => ({ process, cause, on, probes }))
  return { ...rest, lagging: told }
}
