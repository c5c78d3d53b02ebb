// @needs promtool
import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { locateProgram, promtool } from '../../src/cli/provision/index.ts'

const run = promisify(execFile)
const program = locateProgram(promtool, process.env) ?? 'promtool'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'switchback-alerts-'))
  await copyFile('deploy/prometheus/alerts.yml', join(directory, 'alerts.yml'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

type Series = Readonly<Record<string, string>>

const APP = 'job="shop",instance="app-1:3002"'
const OTHER = 'job="shop",instance="app-2:3002"'
const GUARD = 'job="guard",instance="control:3001",flag="use-redis"'

function operations(side: string, outcome: string, perMinute: number): Series {
  const labels = `${APP},side="${side}",operation="getOrSet",outcome="${outcome}"`
  return { [`switchback_operations_total{${labels}}`]: `0+${perMinute}x30` }
}

/** Counters are there from the start, at 0. */
function event(name: string, values: string): Series {
  return { [`switchback_events_total{${APP},side="on",event="${name}"}`]: values }
}

function split(ratio: number, of: string = APP): Series {
  return { [`switchback_live_split_ratio{${of},flag="use-redis",feature="cache"}`]: `${ratio}x30` }
}

function licensed(of: string): string {
  return `switchback_side_licensed{${of},cache="profile",side="on",backend="B"}`
}

/** A rollout at 25 % with a guard, in which nothing is wrong. */
const HEALTHY: Series = {
  ...operations('on', 'hit', 3000),
  ...operations('on', 'failed', 1),
  ...operations('off', 'hit', 9000),
  ...operations('off', 'failed', 3),
  ...split(0.25),
  ...split(0.25, OTHER),
  [`switchback_flags_up{${APP},cache="profile"}`]: '1x30',
  ...event('breaker_opened', '0x30'),
  ...event('breaker_closed', '0x30'),
  ...event('repeat_miss', '0x30'),
  ...event('owed', '0x30'),
  ...event('repaid', '0x30'),
  [`switchback_flags_refused{${APP},flag="use-redis"}`]: '0x30',
  [`switchback_start_time_seconds{${APP}}`]: '1x30',
  [`up{${APP}}`]: '1x30',
  [`switchback_event_loop_delay_seconds{${APP},quantile="0.99"}`]: '0.002x30',
  [`switchback_decisions_total{${APP},variant="on",reason="TARGETING_MATCH"}`]: '0+3000x30',
  [`switchback_origin_load_duration_seconds_count{${APP}}`]: '0+600x30',
  [`switchback_origin_failures_total{${APP}}`]: '0x30',
  [`switchback_comparisons_total{${APP},result="mismatch"}`]: '0x30',
  [`switchback_guard_last_poll_timestamp_seconds{${GUARD}}`]: '0+60x30',
  [`switchback_guard_expected_split_ratio{${GUARD}}`]: '0.25x30',
  [`switchback_guard_messages_total{${GUARD},result="sent"}`]: '0+1x30',
  [`switchback_guard_messages_total{${GUARD},result="failed"}`]: '0x30',
}

function alarm(code: string): Series {
  return { [`switchback_guard_alarm{${GUARD},alarm="${code}"}`]: '0x10 1x19' }
}

/** Everybody is on the new side, as the file says. */
const FULL: Series = {
  ...split(1),
  ...split(1, OTHER),
  ...operations('off', 'hit', 0),
  ...operations('off', 'failed', 0),
  [`switchback_guard_expected_split_ratio{${GUARD}}`]: '1x30',
}

/** What is different from {@link HEALTHY}, and the alerts that fire after half an hour. */
const CASES: readonly (readonly [name: string, series: Series, alerts: readonly string[]])[] = [
  ['nothing is wrong', {}, []],
  ['nothing is wrong at 100 %', FULL, []],
  [
    'a tenth fails on the new side',
    operations('on', 'failed', 400),
    ['SwitchbackSideFailing', 'SwitchbackNewSideWorse'],
  ],
  [
    'one in fifty fails at 100 %: too little for the other alerts, and nothing to compare with',
    { ...FULL, ...operations('on', 'failed', 60) },
    ['SwitchbackFailingAtFull'],
  ],
  ['a breaker opened', event('breaker_opened', '0x20 1x9'), ['SwitchbackBreakerOpen']],
  [
    'half of the reads take longer than 100 ms',
    {
      [`switchback_operation_duration_seconds_bucket{${APP},side="on",le="0.1"}`]: '0+1500x30',
      [`switchback_operation_duration_seconds_bucket{${APP},side="on",le="0.25"}`]: '0+3000x30',
      [`switchback_operation_duration_seconds_bucket{${APP},side="on",le="+Inf"}`]: '0+3000x30',
    },
    ['SwitchbackSlow'],
  ],
  ['the new side forgets', event('repeat_miss', '0+600x30'), ['SwitchbackCacheForgets']],
  [
    'decisions fail',
    { [`switchback_decisions_total{${APP},variant="off",reason="ERROR"}`]: '0+300x30' },
    ['SwitchbackDecisionsFail'],
  ],
  [
    'a process refuses the flags',
    { [`switchback_flags_refused{${APP},flag="use-redis"}`]: '0x20 1x9' },
    ['SwitchbackFlagsRefused'],
  ],
  [
    'a process does not hear from its flagd',
    { [`switchback_flags_up{${APP},cache="profile"}`]: '1x20 0x9' },
    ['SwitchbackFlagsDown'],
  ],
  [
    'a process gives no metrics any more',
    {
      [`up{${APP}}`]: '1x20 0x9',
      [`switchback_start_time_seconds{${APP}}`]: '1x20 _x9',
    },
    ['SwitchbackTargetsDown'],
  ],
  [
    'one process still has the old share',
    split(0.1, OTHER),
    ['SwitchbackLiveShareDiffers', 'SwitchbackSplitsDiffer'],
  ],
  [
    'all processes have the old share: nothing but the file knows better',
    { ...split(0.1), ...split(0.1, OTHER) },
    ['SwitchbackLiveShareDiffers'],
  ],
  [
    'the guard hangs',
    { [`switchback_guard_last_poll_timestamp_seconds{${GUARD}}`]: '0+60x20 1200x9' },
    ['SwitchbackGuardGone'],
  ],
  [
    'the guard is gone with all its series',
    {
      [`switchback_guard_last_poll_timestamp_seconds{${GUARD}}`]: '0+60x20 _x9',
      [`switchback_guard_expected_split_ratio{${GUARD}}`]: '0.25x20 _x9',
    },
    ['SwitchbackGuardGone'],
  ],
  [
    'no guard is needed at 100 %',
    { ...FULL, [`switchback_guard_last_poll_timestamp_seconds{${GUARD}}`]: '0+60x20 _x9' },
    [],
  ],
  ['the guard cannot roll back', alarm('rollback-failed'), ['SwitchbackGuardCannotRollBack']],
  ['it may not', alarm('regressed'), ['SwitchbackGuardCannotRollBack']],
  ['any other alarm of the guard', alarm('not-served'), ['SwitchbackGuardAlarm']],
  ['a receiver of messages is gone', alarm('notify'), ['SwitchbackNotifyFailing']],
  [
    'a message was given up',
    { [`switchback_guard_messages_total{${GUARD},result="failed"}`]: '0x25 1x4' },
    ['SwitchbackNotifyFailing'],
  ],
  [
    'the two sides disagree',
    { [`switchback_comparisons_total{${APP},result="mismatch"}`]: '0x25 1x4' },
    ['SwitchbackMismatch'],
  ],
  ['invalidations stay pending', event('owed', '0+1x30'), ['SwitchbackOwedNotRepaid']],
  [
    'a write that nobody was told of',
    event('reach_process', '0x25 1x4'),
    ['SwitchbackWritesUnknownToOthers'],
  ],
  ['one process of two has no licence', { [licensed(APP)]: '0x30', [licensed(OTHER)]: '1x30' }, []],
  [
    'no process has a licence',
    { [licensed(APP)]: '1x10 0x19', [licensed(OTHER)]: '0x30' },
    ['SwitchbackSideUnlicensed'],
  ],
  [
    'a machine is not told of changes',
    { [`switchback_following{${APP},cache="profile"}`]: '1x10 0x19' },
    ['SwitchbackNotFollowing'],
  ],
  [
    'the origin fails',
    { [`switchback_origin_failures_total{${APP}}`]: '0+60x30' },
    ['SwitchbackOriginFailing'],
  ],
  [
    'the event loop is late',
    { [`switchback_event_loop_delay_seconds{${APP},quantile="0.99"}`]: '0.4x30' },
    ['SwitchbackEventLoopLate'],
  ],
  [
    'a process restarts again and again',
    { [`switchback_start_time_seconds{${APP}}`]: '1x20 2 3 4 5 6 6x4' },
    ['SwitchbackRestarts'],
  ],
]

describe('deploy/prometheus, by promtool', () => {
  test('the configuration and the rules are valid', async () => {
    await copyFile('deploy/prometheus/prometheus.yml', join(directory, 'prometheus.yml'))
    const { stdout } = await run(program, ['check', 'config', 'prometheus.yml'], {
      cwd: directory,
    })
    expect(stdout).toContain('SUCCESS')
  })

  test('each alert fires for its cause, and for no other', async () => {
    const tests = CASES.map(([name, series, alerts]) => ({
      name,
      interval: '1m',
      input_series: Object.entries({ ...HEALTHY, ...series }).map(([one, values]) => ({
        series: one,
        values,
      })),
      promql_expr_test: [
        {
          expr: 'count by (alertname) (ALERTS{alertstate="firing"}) > bool 0',
          eval_time: '29m',
          exp_samples: alerts.map((alertname) => ({
            labels: `{alertname="${alertname}"}`,
            value: 1,
          })),
        },
      ],
    }))
    const document = { rule_files: ['alerts.yml'], evaluation_interval: '1m', tests }
    await writeFile(join(directory, 'cases.yml'), stringify(document))
    const result = await run(program, ['test', 'rules', 'cases.yml'], { cwd: directory }).catch(
      ({ stdout, stderr }: { stdout: string; stderr: string }) => ({ stdout, stderr }),
    )
    expect(result.stdout + result.stderr).toBe('Unit Testing:  cases.yml\n  SUCCESS\n\n')
  })

  test('every alert has a case in which it fires', async () => {
    const text = await readFile('deploy/prometheus/alerts.yml', 'utf8')
    const { groups } = parse(text) as { groups: { rules: { alert: string }[] }[] }
    const fired = new Set(CASES.flatMap(([, , alerts]) => alerts))
    const all = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert))
    expect(all.filter((alert) => !fired.has(alert))).toEqual([])
  })
})
