import { describe, expect, test } from 'vitest'
import { FlagOutages } from '../../src/control/state/flag-outages.ts'
import { effectOf } from '../../src/control/state/change-reading.ts'
import type { FlagReading } from '../../src/control/state/flag-watch.ts'
import { headlineOf, type HeadlineInput } from '../../src/control/state/headline.ts'
import { armReading, type FleetReading } from '../../src/control/metrics/index.ts'
import { COLUMNS } from '../../src/control/page/charts/columns.ts'
import type { ProcessesReading } from '../../src/control/state/process-judge.ts'
import { RecentSeries } from '../../src/control/state/series.ts'
import type { ProcessAnswer, ProcessReading } from '../../src/scrape/index.ts'
import type { WayBack } from '../../src/control/state/way-back.ts'

const now = 1_000_000
const arm = {
  ...armReading(new Float64Array(64)),
  operations: 100,
  bad: 0,
  errors: 0,
  fallbacks: 0,
}
const replica = {
  url: 'http://a/metrics',
  live: true,
  error: '',
  heardAt: now,
  operations: 200,
  bad: 0,
}
const fleet: FleetReading = {
  of: 'cache',
  hasCache: true,
  arms: { off: arm, on: arm, all: { ...arm, operations: 200 } },
  replicas: [replica],
  breakersOpen: { off: 0, on: 0 },
  backends: { off: '', on: '' },
  outSince: { off: null, on: null },
  owed: { off: 0, on: 0 },
  eventLoopDelay: 3,
}
const served = { state: 'same', url: '', detail: '', probes: 8, agreeing: 8, since: 0 } as const
const description = {
  state: 'ENABLED',
  shape: 'plain',
  share: 10,
  defaultVariant: 'off',
  sentence: '',
  pilots: 0,
  problem: '',
} as const
const flag: FlagReading = {
  name: 'use-redis',
  file: 'f',
  hash: '',
  description,
  error: null,
  trouble: '',
  edited: null,
  served,
}
const processes: ProcessesReading = { known: 0, agreeing: 0, untold: 0, list: [], newSide: '' }
const wayBack: WayBack = { state: 'open', sentence: '', next: '' }
const well: HeadlineInput = {
  now,
  flag,
  fleet,
  guard: undefined,
  processes,
  flagOutages: { told: 0, down: 0, process: '', since: null, backAt: null },
  switches: [],
  wayBack,
  changedAt: 0,
  lost: { off: { sum: 0, seconds: 0 }, on: { sum: 0, seconds: 0 } },
}
const guard = {
  mode: 'acting',
  answer: 'undecided',
  sentence: 'gathering',
  metrics: [],
  plan: undefined,
  alarms: [],
  at: now,
} as const

/** Redis is out since a minute, and what callers lost since then is known. */
function outWith(sum: number, seconds: number): HeadlineInput {
  return {
    ...well,
    fleet: {
      ...fleet,
      breakersOpen: { off: 0, on: 1 },
      outSince: { off: null, on: now - 60_000 },
    },
    lost: { ...well.lost, on: { sum, seconds } },
  }
}

function withServed(state: FlagReading['served']['state'], since: number): HeadlineInput {
  return { ...well, flag: { ...flag, served: { ...served, state, since } } }
}

function withBad(bad: number, operations = 100): HeadlineInput {
  return { ...well, fleet: { ...fleet, arms: { ...fleet.arms!, on: { ...arm, bad, operations } } } }
}

const cases: [what: string, input: HeadlineInput, level: string, sentence: RegExp][] = [
  ['all is well', well, 'ok', /both sides answer/],
  ['0.9 % bad is nothing yet', withBad(0.009), 'ok', /both sides/],
  [
    'variants that no app can use',
    { ...well, flag: { ...flag, description: { ...description, problem: 'they are text' } } },
    'trouble',
    /No app can use the flag: they are text/,
  ],
  ['2 % bad', withBad(0.02), 'watch', /2 % of the operations on the new side/],
  ['20 % bad', withBad(0.2), 'trouble', /20 % of the operations on the new side/],
  ['20 % of hardly anything', withBad(0.2, 0.4), 'ok', /both sides/],
  [
    'a breaker is open',
    { ...well, fleet: { ...fleet, breakersOpen: { off: 0, on: 2 } } },
    'trouble',
    /new side is out: breaker open on 2 replicas/,
  ],
  [
    'who cannot be reached, since when, and that nobody notices',
    {
      ...well,
      now: Date.UTC(2026, 10, 26, 20, 7, 37),
      fleet: {
        ...fleet,
        breakersOpen: { off: 0, on: 1 },
        backends: { off: 'file', on: 'redis' },
        outSince: { off: null, on: Date.UTC(2026, 10, 26, 20, 6, 37) },
      },
    },
    'trouble',
    /^Redis \(new side\) is out since 20:06:37 UTC: breaker open on one replica; no request failed in the last 5 s$/,
  ],
  [
    'and that some do',
    {
      ...well,
      fleet: {
        ...fleet,
        arms: { off: arm, on: arm, all: { ...arm, lost: 2.5 } },
        breakersOpen: { off: 0, on: 1 },
      },
    },
    'trouble',
    /; 2\.5 requests a second get nothing from either side$/,
  ],
  ['nobody since then', outWith(0, 59), 'trouble', /; no request failed since then$/],
  [
    'nobody since the page was started',
    outWith(0, 20),
    'trouble',
    /; no request failed in the last 20 s$/,
  ],
  [
    'nobody now, some before',
    outWith(11.6, 59),
    'trouble',
    /; callers are served now, about 12 requests failed since then$/,
  ],
  [
    'flagd has not answered for a while',
    {
      ...well,
      flag: { ...flag, served: { ...served, state: 'unknown', detail: 'no answer for 7 s' } },
    },
    'unknown',
    /^flagd cannot be asked: no answer for 7 s$/,
  ],
  [
    'the guard beside the page, silent',
    { ...well, guard: { ...guard, at: now - 9000 } },
    'watch',
    /^The guard has not been heard for 9 s/,
  ],
  [
    'a guard that looks every ten seconds',
    {
      ...well,
      guard: {
        ...guard,
        at: now - 9000,
        plan: { steps: [1], heldS: 0, minHoldS: 60, intervalMs: 10_000 },
      },
    },
    'ok',
    /both sides/,
  ],
  ['two bad ones of many are no finding', withBad(0.02, 20), 'ok', /both sides/],
  ['three are', withBad(0.03, 20), 'watch', /3 % of the operations/],
  [
    'a side that was not heard of',
    {
      ...well,
      fleet: {
        ...fleet,
        arms: { off: arm, on: { ...arm, operations: 0 }, all: arm },
        backends: { off: 'file', on: 'redis' },
      },
    },
    'ok',
    /^files \(old side\) answers, Redis \(new side\) has no operations/,
  ],
  [
    'a guard elsewhere that is silent',
    { ...well, guard: { ...guard, elsewhere: 'guard of ann@host', at: now - 9000 } },
    'watch',
    /guard of ann@host has not been heard for 9 s/,
  ],
  [
    'debts',
    { ...well, fleet: { ...fleet, owed: { off: 3, on: 0 } } },
    'watch',
    /3 invalidations are pending for the old/,
  ],
  [
    'flagd serves something else, just now',
    withServed('different', now - 1000),
    'ok',
    /both sides/,
  ],
  [
    'flagd serves something else, still',
    withServed('different', now - 9000),
    'trouble',
    /flagd does not serve/,
  ],
  ['flagd is gone', withServed('unreachable', now), 'watch', /flagd does not answer/],
  [
    'the file is broken',
    { ...well, flag: { ...flag, error: { code: 'X', message: 'line 3', hint: '' } } },
    'trouble',
    /flags file: line 3/,
  ],
  [
    'regressed',
    { ...well, guard: { ...guard, answer: 'regressed', sentence: 'worse' } },
    'trouble',
    /worse/,
  ],
  [
    'starved',
    { ...well, guard: { ...guard, answer: 'starved', sentence: 'no users' } },
    'watch',
    /no users/,
  ],
  ['an alarm', { ...well, guard: { ...guard, alarms: ['srm: 20 %'] } }, 'watch', /srm/],
  ['a blind guard', { ...well, guard: { ...guard, mode: 'blind' } }, 'watch', /guard is blind/],
  [
    'a silent replica',
    {
      ...well,
      fleet: {
        ...fleet,
        replicas: [replica, { ...replica, url: 'http://b/metrics', live: false, error: 'gone' }],
      },
    },
    'watch',
    /^No metrics of http:\/\/b\/metrics since 00:16:40 UTC: gone; the numbers are those of the others$/,
  ],
  [
    'all replicas silent',
    {
      ...well,
      fleet: { ...fleet, arms: undefined, replicas: [{ ...replica, live: false, error: 'gone' }] },
    },
    'trouble',
    /^No metrics since 00:16:40 UTC: gone$/,
  ],
  [
    'processes without flags',
    {
      ...well,
      flagOutages: { told: 2, down: 2, process: 'a:1', since: now - 9000, backAt: null },
    },
    'watch',
    /^2 of 2 processes do not reach the source of their flags since 00:16:31 UTC\. They keep/,
  ],
  [
    'no replicas named',
    { ...well, fleet: { ...fleet, arms: undefined, replicas: [] } },
    'unknown',
    /--metrics/,
  ],
  [
    'a late event loop',
    { ...well, fleet: { ...fleet, eventLoopDelay: 900 } },
    'watch',
    /900 ms late/,
  ],
]

describe('the headline', () => {
  test.each(cases)('%s', (_what, input, level, sentence) => {
    const headline = headlineOf(input)
    expect([headline.level, headline.sentence]).toEqual([level, expect.stringMatching(sentence)])
  })

  test('the worst comes first, the rest stays', () => {
    const { level, findings } = headlineOf({
      ...withBad(0.2),
      guard: { ...guard, alarms: ['something'], answer: 'starved' },
      flag: { ...flag, served: { ...served, state: 'unreachable' } },
    })
    expect(level).toBe('trouble')
    expect(findings.map((finding) => finding.level)).toEqual(['trouble', 'watch', 'watch', 'watch'])
  })
})

test('the effect of a change: the minute before against what came after, the mixed seconds left out', () => {
  const series = new RecentSeries()
  for (let second = 0; second < 400; second++) {
    const point = COLUMNS.map((name) => {
      if (name === 'at') return second
      if (name === 'all.bad') return second <= 200 ? 0.01 : second < 206 ? 0.5 : 0.03
      return name === 'all.p99' && second <= 200 ? 4 : null
    })
    series.push(point)
  }
  const change = {
    id: 'x',
    at: 200_000,
    action: 'set',
    from: 1,
    to: 5,
    who: '',
    via: '',
    reason: '',
    warning: '',
    known: true,
  } as const
  const effect = effectOf(change, series, 300_000)
  expect(effect.bad.before).toBeCloseTo(0.01, 9)
  expect(effect.bad.after).toBeCloseTo(0.03, 9)
  expect(effect.p99).toEqual({ before: 4, after: null })
  expect(effect.seconds).toBe(94)
  expect(effectOf(change, series, 203_000)).toMatchObject({ seconds: 0, bad: { after: null } })
})

test('flags of processes: since when they are out, that they are back, and for how long they were not', () => {
  const outages = new FlagOutages()
  const answer = (process: string, up: boolean | undefined): ProcessAnswer => ({
    process,
    at: 0,
    error: '',
    reading: up === undefined ? undefined : ({ up } as ProcessReading),
  })
  const nothing = { told: 2, down: 0, process: '', since: null, backAt: null }
  expect(outages.read(1000, [answer('a', true), answer('b', true)])).toEqual(nothing)
  outages.read(2000, [answer('a', false), answer('b', true)])
  const both = outages.read(3000, [answer('a', false), answer('b', false)])
  expect(both).toEqual({ told: 2, down: 2, process: 'a', since: 2000, backAt: null })
  // A process that gives no answer has not said that its flags are back.
  const silent = outages.read(4000, [answer('a', undefined), answer('b', true)])
  expect(silent).toEqual({ told: 1, down: 1, process: 'a', since: 2000, backAt: null })
  const back = outages.read(5000, [answer('a', true), answer('b', true)])
  expect(back).toEqual({ told: 2, down: 0, process: 'a', since: 2000, backAt: 5000 })
  expect(outages.read(5000 + 31 * 60_000, [answer('a', true), answer('b', true)])).toEqual(nothing)
})
