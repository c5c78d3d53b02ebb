import { describe, expect, test } from 'vitest'
import type { FlagReading } from '../../src/control/state/flag-watch.ts'
import { armReading, type FleetReading } from '../../src/control/metrics/index.ts'
import type { ProcessesReading, ProcessReport } from '../../src/control/state/process-judge.ts'
import { type WayBack, wayBackOf, type WayBackInput } from '../../src/control/state/way-back.ts'

const now = 1_000_000
const served = { state: 'same', url: '', detail: '', probes: 8, agreeing: 8, since: 0 } as const
const flag: FlagReading = {
  name: 'use-redis',
  file: 'f',
  hash: '',
  description: {
    state: 'ENABLED',
    shape: 'plain',
    share: 0,
    defaultVariant: 'off',
    sentence: '',
    pilots: 0,
    problem: '',
  },
  error: null,
  trouble: '',
  served,
  edited: null,
}

function traffic(on: number, off: number): FleetReading {
  const arm = (operations: number) => ({ ...armReading(new Float64Array(64)), operations })
  return {
    arms: { on: arm(on), off: arm(off), all: arm(on + off) },
    of: 'cache',
    hasCache: true,
    replicas: [],
    breakersOpen: { off: 0, on: 0 },
    backends: { off: '', on: '' },
    outSince: { off: null, on: null },
    owed: { off: 0, on: 0 },
    eventLoopDelay: 3,
  }
}

function reports(...shares: (number | 'silent' | 'untold' | 'refuses')[]): ProcessesReading {
  const list = shares.map((share, index): ProcessReport => {
    const process = `app-${index}`
    const base = { process, agrees: share === 0, silent: false, cause: '', refuses: '' }
    if (share === 'silent') {
      return { ...base, silent: true, cause: 'does not answer', onShare: null }
    }
    if (share === 'untold') return { ...base, cause: 'does not say', onShare: null }
    if (share === 'refuses') return { ...base, refuses: 'no default', onShare: 0.25 }
    return { ...base, cause: share === 0 ? '' : 'still on', onShare: share }
  })
  const agreeing = list.filter(({ agrees }) => agrees).length
  const untold = shares.filter((share) => share === 'untold').length
  return { known: list.length, agreeing, untold, list, newSide: 'redis' }
}

function given(
  state: FlagReading['served']['state'],
  processes: ProcessesReading,
  fleet: FleetReading = traffic(0, 100),
  ageMs = 60_000,
): WayBackInput {
  const reading = { ...flag, served: { ...served, state, detail: 'on instead of off' } }
  return { now, flag: reading, changedAt: now - ageMs, fleet, processes }
}

const cases: [what: string, input: WayBackInput, state: WayBack['state'], sentence: RegExp][] = [
  [
    'flagd is gone and 26 % of the traffic is still there',
    given('unreachable', reports(0.25, 0.25, 0.25), traffic(26, 74)),
    'not-back',
    /^flagd does not answer; 3 of 3 processes still send users to the new side; 26 % of operations still go to the new side \(Redis\)$/,
  ],
  [
    'the same at once after the change',
    given('unreachable', reports(0.25), traffic(26, 74), 500),
    'not-back',
    /26 % of operations/,
  ],
  [
    'flagd is gone and only the traffic tells',
    given('unreachable', reports('untold'), traffic(26, 74), 500),
    'not-back',
    /26 % of operations/,
  ],
  ['all agree', given('same', reports(0, 0)), 'back', /^$/],
  ['all processes agree although flagd is gone', given('unreachable', reports(0, 0)), 'back', /^$/],
  [
    'all agree, and the rates still hold the seconds before',
    given('same', reports(0, 0), traffic(20, 80), 2000),
    'back',
    /^$/,
  ],
  [
    'all agree, and the traffic does not',
    given('same', reports(0, 0), traffic(20, 80)),
    'not-back',
    /^20 % of operations still go to the new side \(Redis\)$/,
  ],
  [
    'one of them is on its way',
    given('same', reports(0, 0.25), traffic(9, 91), 900),
    'waiting',
    /1 of 2/,
  ],
  ['one of them is still there', given('same', reports(0, 0.25)), 'not-back', /^1 of 2 processes/],
  [
    'one of them refuses the flags',
    given('same', reports(0, 'refuses'), traffic(9, 91), 900),
    'not-back',
    /^app-1 refuses the flags: no default; 1 of 2/,
  ],
  [
    'one of them is silent',
    given('same', reports(0, 'silent')),
    'unsure',
    /^app-1 does not answer$/,
  ],
  ['flagd serves something else', given('different', reports()), 'not-back', /on instead of off/],
  ['only flagd tells', given('same', reports()), 'back', /^$/],
  ['only the traffic tells', given('unasked', reports('untold'), traffic(0, 9)), 'back', /^$/],
  [
    'nobody tells',
    given('unreachable', reports(), traffic(0, 0)),
    'unsure',
    /flagd does not answer/,
  ],
]

describe('whether all users are on the old side', () => {
  test.each(cases)('%s', (_, input, state, sentence) => {
    const so = wayBackOf(input)
    expect(so.state).toBe(state)
    expect(so.sentence).toMatch(sentence)
    expect(so.next !== '').toBe(state !== 'back')
  })

  test('nothing is said while the file sends users to the new side, or cannot be read', () => {
    const input = given('same', reports(0))
    const open = { state: 'open', sentence: '', next: '' }
    const at = (changed: Partial<FlagReading>): WayBackInput => ({
      ...input,
      flag: { ...flag, ...changed },
    })
    expect(wayBackOf(at({ description: { ...flag.description!, share: 5 } }))).toEqual(open)
    expect(wayBackOf(at({ description: { ...flag.description!, pilots: 1 } }))).toEqual(open)
    expect(wayBackOf(at({ error: { code: '', message: '', hint: '' } }))).toEqual(open)
    const disabled = { ...flag.description!, state: 'DISABLED', share: 50 }
    expect(wayBackOf(at({ description: disabled })).state).toBe('back')
  })
})

test('where all follow, nobody is sent to restart those that do not', () => {
  const { state, next } = wayBackOf(given('same', reports(0, 0), traffic(1, 99)))
  expect(state).toBe('not-back')
  expect(next).toMatch(/^All follow; these are the operations of the last \d+ s\./)
  expect(wayBackOf(given('same', reports(0, 0.25), traffic(1, 99))).next).toContain('/readyz')
})
