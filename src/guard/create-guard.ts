import { basename, dirname, extname, join } from 'node:path'
import { SwitchbackError } from '../errors.ts'
import type { FlagsFile } from '../rollout/public.ts'
import type { ProcessesOptions } from '../scrape/index.ts'
import { flagsActuator } from './act/actuator.ts'
import { fileAudit } from './status/audit.ts'
import type { AuditEntry } from './status/audit.ts'
import { Guard, type RunningGuard } from './guard.ts'
import { bothLeases, fileLease, type SharedNotes } from './act/lease.ts'
import { Notifier } from './notify/notifier.ts'
import { receiversOf } from './notify/receivers.ts'
import type { Plan } from './plan/plan.ts'
import { prometheusSource } from './samples/prometheus-api.ts'
import { replicaSource } from './samples/replica-source.ts'
import type { Selector } from './samples/metric-selector.ts'
import type { MetricsSource } from './samples/metrics-source.ts'
import { publishStatus } from './status/status-file.ts'
import type { GuardStatus } from './status/status.ts'
import { flagStore } from './act/flag-state-store.ts'
import { viewOf } from './status/guard-summary.ts'

export interface CreateGuardOptions {
  readonly plan: Plan
  readonly flag: string
  /** The flags file, or another place where the flags live. */
  readonly file: FlagsFile
  /** flagd's OFREP address; `false` does not ask it. */
  readonly flagd?: string | false
  /** Shown in the history and to another guard, e.g. `guard@host`. */
  readonly name: string
  /** Bearer token of the Prometheus server. */
  readonly prometheusToken?: string
  /** @default false */
  readonly dryRun?: boolean
  /** Acts again after a rollback or after it yielded, with evidence that begins at nothing. @default false */
  readonly resume?: boolean
  /** Begins a resumed rollout at this step of the plan, in per cent. @default its first */
  readonly from?: number
  /** Resumes though a replica cannot reach the new side. @default false */
  readonly force?: boolean
  /** Forgets all that was known, where the rollout stood too. @default false */
  readonly forget?: boolean
  /** Where state, lease and audit lines lie. @default beside the flags file */
  readonly directory?: string
  /** Where `$NAME` in the plan's `notify` is looked up, and `SWITCHBACK_NOTIFY_SECRET`. @default {} */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Receives every decision, besides the audit file. */
  readonly onAudit?: (entry: AuditEntry) => void
}

export interface GuardFiles {
  readonly state: string
  readonly lease: string
  readonly audit: string
  /** What the running guard thinks now. */
  readonly status: string
}

/**
 * The files of the guard of `use-redis` in `flags/use-redis.json` are `flags/use-redis.guard.json` and so on;
 * of another flag in that file `flags/use-redis@other.guard.json`. The journal is one for all flags of a file,
 * as the history is: each of its lines names its flag.
 */
export function guardFiles(flagsFile: FlagsFile, flag: string, directory?: string): GuardFiles {
  const stem = stemOf(flagsFile, directory)
  const own = basename(stem) === flag ? stem : `${stem}@${encodeURIComponent(flag)}`
  return {
    state: stateFile(own),
    lease: `${own}.guard.lease`,
    audit: `${stem}.guard.jsonl`,
    status: `${own}.guard.status.json`,
  }
}

function stemOf(flagsFile: FlagsFile, directory: string | undefined): string {
  const own =
    typeof flagsFile === 'string'
      ? join(dirname(flagsFile), basename(flagsFile, extname(flagsFile)))
      : flagsFile.beside
  return directory === undefined ? own : join(directory, basename(own))
}

function stateFile(stem: string): string {
  return `${stem}.guard.json`
}

function sourceOf(plan: Plan, token: string | undefined): MetricsSource {
  const { replicas, prometheus } = plan.sources
  const selectors: Selector[] = [
    ...plan.custom.flatMap(({ bad, total }) => [bad, total]),
    ...plan.limits.map(({ selector }) => selector),
  ]
  const watched = plan.watched === undefined ? {} : { watched: plan.watched }
  if (prometheus !== undefined) {
    return prometheusSource({
      ...prometheus,
      ...watched,
      selectors,
      // A counter of failures may not be there before the first one; that of all events is.
      needed: [
        ...plan.custom.map(({ total }) => total),
        ...plan.limits.filter(({ of }) => of === 'value').map(({ selector }) => selector),
      ],
      ...(token === undefined ? {} : { token }),
    })
  }
  if (replicas.length > 0) return replicaSource({ urls: replicas, selectors, ...watched })
  throw new SwitchbackError('SB_PLAN_INVALID', 'Plan: no source of metrics is given', {
    hint: 'Give replicas: [http://host:port/metrics] or prometheus: { url: http://host:9090 }.',
  })
}

/** The processes that the guard reads are those that must follow its changes. */
function processesOf({ sources }: Plan, token: string | undefined): ProcessesOptions {
  const { replicas, prometheus } = sources
  if (prometheus === undefined) return { metrics: replicas }
  return { prometheus: { ...prometheus, ...(token === undefined ? {} : { token }) } }
}

/**
 * Those who are told of what a guard does; undefined when the plan names nobody.
 *
 * @throws SwitchbackError `SB_PLAN_INVALID` when the environment lacks the address of one
 */
export function notifierOf(
  plan: Plan,
  guard: string,
  env: Readonly<Record<string, string | undefined>> = {},
): Notifier | undefined {
  if (Object.values(plan.notify).every((list) => list.length === 0)) return undefined
  const secret = env['SWITCHBACK_NOTIFY_SECRET'] || undefined
  return new Notifier({ receivers: receiversOf(plan.notify, env), guard, secret })
}

/** Not more often than once a second: with ten polls a second nobody could read along. */
function publisher(
  file: string,
  { flag, name, dryRun }: CreateGuardOptions,
  shared: SharedNotes | undefined,
): (status: GuardStatus) => Promise<void> {
  let publishedAt = -Infinity
  return async (status) => {
    if (dryRun === true || status.at - publishedAt < 900) return
    publishedAt = status.at
    const told = { flag, name, summary: viewOf(status) }
    shared?.publish(told)
    await publishStatus(file, told)
  }
}

/**
 * A guard with real parts: the flags file, flagd, and state, lease and audit log on disk.
 *
 * @throws SwitchbackError `SB_PLAN_INVALID` without a source of metrics
 */
export function createGuard(options: CreateGuardOptions): RunningGuard {
  return createSharedGuard(options, undefined)
}

/** As {@link createGuard}, for a guard that others on other machines may stand by for. */
export function createSharedGuard(
  options: CreateGuardOptions,
  shared: SharedNotes | undefined,
): RunningGuard {
  const { plan, flag, file, flagd, name, dryRun = false } = options
  const { resume = false, force = false, forget = false, from = 0 } = options
  const files = guardFiles(file, flag, options.directory)
  const write = fileAudit(files.audit)
  const notifier = dryRun ? undefined : notifierOf(plan, name, options.env)
  const store = flagStore({
    flag,
    fileOf: (name) => guardFiles(file, name, options.directory).state,
    before: stateFile(stemOf(file, options.directory)),
  })
  const lease = fileLease({ file: files.lease, name })
  return new Guard({
    flag,
    plan,
    source: sourceOf(plan, options.prometheusToken),
    actuator: flagsActuator({
      file,
      flag,
      who: name,
      record: !dryRun,
      processes: processesOf(plan, options.prometheusToken),
      ...(flagd === undefined ? {} : { flagd }),
    }),
    store: shared?.store(store) ?? store,
    lease: shared === undefined ? lease : bothLeases(shared.lease, lease),
    publish: publisher(files.status, options, shared),
    ...(notifier === undefined ? {} : { notifier }),
    dryRun,
    resume,
    force,
    forget,
    from,
    async audit(entry) {
      const signed = { ...entry, who: name }
      options.onAudit?.(signed)
      if (!dryRun) await write(signed)
    },
  })
}
