import { createCacheSwitch, createSwitch, createTelemetry, memoryCache } from '../../src/index.ts'
import { registerCoherenceGauges } from '../../src/telemetry/index.ts'
import {
  COMPARISONS,
  EVENTS,
  OPERATIONS,
  OUTCOMES,
  SIDES,
} from '../../src/telemetry/counts/labels.ts'
import { SidecarMetrics } from '../../src/sidecar/sidecar-metrics.ts'
import { guardExposition } from '../support/guard-exposition.ts'
import { FixedDecider } from '../support/fixed-decider.ts'
import { readExposition } from '../telemetry/strict-exposition.ts'
import type { ReadFamily } from '../telemetry/strict-exposition.ts'
import { GENERATED, table } from './markdown.ts'

/** What the telemetry of one process exposes when everything has happened once. */
export async function exposedMetrics(): Promise<ReadonlyMap<string, ReadFamily>> {
  const telemetry = createTelemetry({ meter: false })
  const decider = new FixedDecider()
  decider.healthy = {
    ...decider.healthy,
    liveSplit: {
      probes: 100,
      on: 25,
      ratio: 0.25,
      at: 1,
      since: 1,
      kind: 'exact',
      mode: 'rpc',
      hash: 'h',
    },
    configuration: { refused: { reason: 'syntax', since: 1 } },
  } as never
  const cache = createCacheSwitch({
    decider: Object.assign(decider, { flag: 'use-redis', feature: 'profile' }),
    off: memoryCache(),
    on: memoryCache(),
    telemetry,
  })
  for (const side of SIDES) {
    const bucket = telemetry.bucketOf('user_1')
    for (const operation of OPERATIONS)
      for (const outcome of OUTCOMES) telemetry.operation(side, operation, outcome, 10, bucket)
    for (const event of EVENTS) telemetry.event(side, event, bucket)
    telemetry.decision(side, side, 'TARGETING_MATCH', 'live')
    telemetry.originLoad(side, 1, false)
    telemetry.bytes(side, 'read', 1)
    telemetry.bytes(side, 'written', 1)
  }
  for (const result of COMPARISONS) telemetry.comparison(result)
  registerCoherenceGauges(
    telemetry,
    'cache',
    { off: 'A', on: 'B' },
    {
      stage: 'both',
      licensed: () => true,
      following: () => ({ live: true, lagMs: 0 }),
    },
  )
  const service = createSwitch({
    decider,
    off: { find: async () => 1 },
    on: { find: async () => 1 },
    name: 'search',
    telemetry,
  })
  const calls = telemetry.calls?.('search', 'find')
  calls?.ended('on', 'failed', 10, 1, true)
  calls?.compared('other', 'same')
  calls?.other('on', 'done')
  const families = readExposition(telemetry.prometheus())
  await service.close()
  await cache.close()
  telemetry.close()
  return families
}

/** The flagd-compatible counters of the embedded sidecar. */
export function sidecarMetrics(): readonly string[] {
  return [...new SidecarMetrics().render().matchAll(/^# HELP (\S+)/gmu)].map(([, name]) => name!)
}

export async function metricsPage(): Promise<string> {
  const families = await exposedMetrics()
  const groups = Object.entries(GROUPS).map(([title, names]) => {
    const rows = names.map((name) => metricRow(name, families.get(name)))
    return `## ${title}\n\n${table(['metric', 'type', 'labels', 'meaning'], rows)}`
  })
  const labels = table(
    ['label', 'values'],
    Object.entries(LABELS).map(([name, text]) => [`\`${name}\``, text]),
  )
  return `${INTRODUCTION}\n\n${groups.join('\n\n')}\n\n${LABELS_HEAD}\n\n${labels}\n\n${OTHERS}\n`
}

function metricRow(name: string, family: ReadFamily | undefined): readonly string[] {
  if (family === undefined) throw new Error(`${name} is not exposed: take it out of GROUPS`)
  const type = family.type === 'summary' ? 'gauge with quantiles' : family.type
  return [`\`${name}\``, type, labelsOf(family), family.help]
}

export function labelNames(family: ReadFamily): readonly string[] {
  const names = new Set(family.samples.flatMap(({ labels }) => Object.keys(labels)))
  return [...names].filter((name) => name !== 'le')
}

function labelsOf(family: ReadFamily): string {
  const names = labelNames(family)
  return names.length === 0 ? '–' : names.map((name) => `\`${name}\``).join(', ')
}

/** In which order and under which heading each metric stands. */
export const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'What operations do': [
    'switchback_operations_total',
    'switchback_operation_duration_seconds',
    'switchback_events_total',
    'switchback_bytes_total',
    'switchback_comparisons_total',
    'switchback_second_writes_total',
    'switchback_origin_load_duration_seconds',
    'switchback_origin_failures_total',
  ],
  'What the flag decides': [
    'switchback_decisions_total',
    'switchback_flags_up',
    'switchback_live_split_probes',
    'switchback_live_split_on',
    'switchback_live_split_ratio',
    'switchback_live_split_timestamp_seconds',
    'switchback_live_split_since_seconds',
    'switchback_live_split_info',
    'switchback_flags_refused',
    'switchback_flags_refused_since_seconds',
    'switchback_flags_refused_info',
  ],
  'The state of the two sides': [
    'switchback_side_up',
    'switchback_switch_info',
    'switchback_side_out_seconds',
    'switchback_owed_invalidations',
    'switchback_foreign_refusals',
    'switchback_side_licensed',
    'switchback_following',
    'switchback_following_lag_seconds',
    'switchback_stage_info',
  ],
  'Users, for the guard': [
    'switchback_users_total',
    'switchback_user_windows_total',
    'switchback_user_operations_total',
    'switchback_user_bad_operations_total',
    'switchback_user_slow_operations_total',
    'switchback_user_repeat_misses_total',
  ],
  'The process': [
    'switchback_instance_info',
    'switchback_start_time_seconds',
    'switchback_event_loop_delay_seconds',
    'switchback_event_loop_seconds_total',
    'switchback_cpu_seconds_total',
    'switchback_resident_memory_bytes',
  ],
}

/** Each label and what its values mean. */
export const LABELS: Readonly<Record<string, string>> = {
  side: '`off`: the old side; `on`: the new side. The side that the flag chose, even if the other one served',
  operation: list(OPERATIONS),
  switch: 'of `createSwitch`: its name. What belongs to a cache has no such label',
  method: 'the method of that switch',
  against:
    'of comparisons of a switch: `other` (the other side) or `itself` (the same side once more: how noisy the answers are)',
  outcome:
    'good: `hit`, `miss`, `stored`, `deleted`, `stale` (the loader failed or was slow, and an expired value was served: `grace`); bad: `failed` (the side threw), `timed_out` (no answer within its deadline), `fell_back` (the breaker was open, or an invalidation of the key is pending: the other side or the origin served). Of a switch: `ok`, `failed`, `timed_out`, `fell_back`, `aborted` (by the caller)',
  class: '`read` (get, getOrSet, has), `write` (set, delete, clear)',
  ended: '`failed` the caller got nothing from either side; `fell_back` the other side served',
  event:
    '`backfill` a value moved over from the other side on a miss; `fill` a loaded value was stored; `fill_refused` a loaded value was not stored, because of a newer write or a slow load; `confirmed` a value of an old side of its own was asked about in Redis, and is the latest; `superseded` it is not, or that cannot be said; `repeat_miss` a miss on a key that this process itself had stored recently; `owed` an invalidation could not be delivered and is pending; `repaid` a pending invalidation was delivered; `reach_later` a write that other machines with a side of their own see within a second; `reach_machine`, `reach_process` a write that no other machine (no other process) knows of until the side has taken it; `waited` the first write of an outage waited until no process used the side any more without knowing of it; `fenced` everything older on this side is distrusted; `mirrored`, `mirror_refused` the other side was (not) written too; `breaker_opened`, `breaker_closed`; `shed` background work was dropped because too much was under way',
  direction: '`read`, `written`',
  result:
    '`same`; `mismatch` the two sides hold different values (an alert); `cold` the other side had nothing; `ttl_drift` the same value, another expiry; `race` a write came in between; `failed`; `shed` too many comparisons were under way',
  variant: 'the variant of the flag, as the provider names it (`on`, `off`)',
  reason:
    "of decisions: OpenFeature's reason (`TARGETING_MATCH`, `DEFAULT`, `ERROR`, ...); of refused flags: why they were refused",
  source:
    '`live` the flag was asked; `remembered` a recent answer; `held` an old answer, because the flag source does not answer; `default` the old side, because nothing is known of this user, or nothing that still counts after a rollback',
  cache: "the cache's `name`",
  backend: "the backend's name (`file`, `redis`)",
  flag: 'the key of the flag',
  feature: "the cache's `feature`, if it has one",
  kind: '`exact`: one probe user in each hundredth of the hash; `sample`: another vendor hashes in its own way',
  mode: 'of the live split, where the flags come from: `rpc`, `in-process`, `file`, `provider`; of processor time: `user`, `system`',
  hash: "a hash of the flag's definition in force; empty where it is not known",
  bucket: '0 to 31: users are hashed into 32 buckets, with a hash that is independent of the split',
  over: 'seconds: operations that took longer than this',
  instance_id: 'random for each process',
  quantile: '`0.99`, `1` (the maximum)',
  stage:
    '`both`: both sides are used; `retire-off`, `retire-on`: that side is no longer read, and still invalidated by every write',
  state: '`active`, `idle`',
}

function list(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ')
}

const INTRODUCTION = `# Metrics

${GENERATED}

\`createTelemetry()\` counts; \`telemetry.prometheus()\` is the text that you serve as \`/metrics\` ([how](integrate.md#metrics-events-and-logs)). The reference service serves it on \`METRICS_PORT\` (3002). Ready to load: [alerts](https://github.com/openfeature-switchback/switchback/blob/main/deploy/prometheus/alerts.yml) and [a dashboard](https://github.com/openfeature-switchback/switchback/blob/main/deploy/grafana/dashboard.json).

- No label holds a key, a user or a value.
- Times are in seconds; timestamps are seconds since 1970. Histograms have the buckets 50 us to 5 s and the label \`le\`.
- In OpenTelemetry the names have dots and no \`_total\`: \`switchback.operations\`, \`switchback.live.split.on\`. Of a histogram \`.bucket\`, \`.sum\` and \`.count\` are instruments of their own. The metrics by user bucket are exported to Prometheus only.
- Names and labels are public: a change of them is announced in [CHANGELOG.md](../CHANGELOG.md).`

const LABELS_HEAD = `## Labels`

const OTHERS = `## The guard

\`switchback guard --listen [HOST:]PORT\` serves its own metrics (and \`/healthz\`, which is 503 when it no longer looks); \`switchback control\` serves those of its guard at \`/metrics\`. \`action\` is that of the journal, \`alarm\` one of [the alarms](guard.md#alarms), \`mode\` \`acting\`, \`advising\` (a dry run), \`yielded\`, \`blind\`, \`standby\` or \`stopped\` (after a rollback).

${table(
  ['metric', 'type', 'labels', 'meaning'],
  [...readExposition(guardExposition())].map(([name, family]) => metricRow(name, family)),
)}

## The embedded sidecar

\`switchback sidecar\` serves two counters of flagd under flagd's names on its management port (8014): ${sidecarMetrics()
  .map((name) => `\`${name}\``)
  .join(
    ' and ',
  )}; beside them the gauges \`sidecar_flags\` (flags in force) and \`sidecar_streams\` (open gRPC streams).`
