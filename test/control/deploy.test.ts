import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createSwitch } from '../../src/calls/index.ts'
import type { FlagDecider } from '../../src/flags/index.ts'
import { registerFlagGauges } from '../../src/flags/flag-gauges.ts'
import { registerCoherenceGauges } from '../../src/telemetry/gauges/coherence-gauges.ts'
import {
  registerHealthGauges,
  registerSideGauges,
} from '../../src/telemetry/gauges/health-gauges.ts'
import { createTelemetry, type Outcome, type SideEvent } from '../../src/telemetry/index.ts'
import { guardExposition } from '../support/guard-exposition.ts'
import { EVENTS, OUTCOMES } from '../../src/telemetry/counts/labels.ts'

/** Tells everything that a decider can tell. */
const refusing: FlagDecider = {
  flag: 'use-redis',
  feature: 'cache',
  decide: () => ({ side: 'off', variant: 'off', reason: 'SPLIT', errorCode: '', source: 'live' }),
  targetingKeyOf: () => undefined,
  health: () => ({
    ok: false,
    status: 'STALE',
    since: 1,
    detail: 'refused',
    liveSplit: {
      probes: 100,
      on: 25,
      ratio: 0.25,
      kind: 'exact',
      mode: 'in-process',
      hash: 'ab',
      at: 1,
      since: 1,
    },
    configuration: { hash: 'ab', since: 1, refused: { reason: 'it is not JSON', since: 1 } },
  }),
  close: () => Promise.resolve(),
}

/** Everything that telemetry can export, once. */
function exposition(): string {
  const telemetry = createTelemetry({ meter: false })
  const bucket = telemetry.bucketOf('user_1')
  for (const side of ['on', 'off'] as const) {
    for (const outcome of OUTCOMES as readonly Outcome[]) {
      telemetry.operation(side, 'getOrSet', outcome, 4, bucket)
    }
    for (const operation of ['get', 'has'] as const) {
      telemetry.operation(side, operation, 'hit', 4, bucket)
    }
    for (const event of EVENTS as readonly SideEvent[]) telemetry.event(side, event, bucket)
    telemetry.originLoad(side, 5, false)
    telemetry.bytes(side, 'read', 5)
  }
  telemetry.comparison('mismatch')
  for (const reason of ['ERROR', 'SPLIT']) telemetry.decision('off', 'off', reason, 'flagd')
  registerFlagGauges({ recorder: telemetry, decider: refusing, flag: undefined })
  const stores = { off: 'file', on: 'redis' } as const
  registerHealthGauges(
    telemetry,
    'profile',
    stores,
    () => ({ outSince: 0, owed: 0, foreign: 0 }),
    () => true,
  )
  registerCoherenceGauges(
    telemetry,
    'cache',
    { off: 'A', on: 'B' },
    { stage: 'both', licensed: () => true, following: () => ({ live: true, lagMs: 0 }) },
  )
  const engine = { find: async (): Promise<string> => 'found' }
  const methods = { find: { kind: 'read' } } as const
  createSwitch({
    name: 'search',
    decider: refusing,
    off: engine,
    on: { ...engine },
    methods,
    telemetry,
  })
  const calls = telemetry.calls?.('search', 'find')
  calls?.ended('on', 'failed', 5, bucket, false)
  calls?.compared('itself', 'mismatch')
  registerSideGauges(telemetry, { switch: 'search' }, stores, () => 1)
  // What Prometheus itself says of each target.
  const text = `${telemetry.prometheus()}${guardExposition()}up 1\n`
  telemetry.close()
  return text
}

const exported = exposition()
const names = new Set(exported.match(/^switchback_\w+/gm))

/** Each selector of a query: the metric and its matchers. */
function selectorsOf(query: string): { name: string; matchers: [string, string, string][] }[] {
  return [...query.matchAll(/(switchback_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', inner = '']) => ({
      name,
      matchers: [...inner.matchAll(/(\w+)\s*(=~|=|!=|!~)\s*"([^"]*)"/g)].map(
        ([, label = '', operator = '', value = '']) => [label, operator, value],
      ),
    }),
  )
}

function valuesOf(name: string, label: string): Set<string> {
  const lines = exported.split('\n').filter((line) => line.startsWith(`${name}{`))
  return new Set(
    lines.flatMap((line) => new RegExp(`[{,]${label}="([^"]*)"`).exec(line)?.[1] ?? []),
  )
}

/** Labels that Prometheus itself adds. */
const ADDED = new Set(['job', 'instance'])

function checkQuery(query: string): void {
  const open = query.replaceAll(/"[^"]*"/g, '').split('')
  for (const [a, b] of ['()', '{}', '[]'] as const) {
    const count = (letter: string | undefined): number =>
      open.filter((each) => each === letter).length
    expect([query, count(a)]).toEqual([query, count(b)])
  }
  const selectors = selectorsOf(query)
  expect(selectors.length).toBeGreaterThan(0)
  for (const { name, matchers } of selectors) {
    expect([name, names.has(name)]).toEqual([name, true])
    for (const [label, operator, value] of matchers) {
      // Without a value: the series that have no such label.
      if (ADDED.has(label) || value === '') continue
      const possible = valuesOf(name, label)
      for (const wanted of operator.endsWith('~') ? value.split('|') : [value]) {
        expect([name, label, wanted, possible.has(wanted)]).toEqual([name, label, wanted, true])
      }
    }
  }
  for (const [, list = ''] of query.matchAll(/\bby \(([^)]*)\)/g)) {
    for (const label of list.split(',').map((each) => each.trim())) {
      const known = ADDED.has(label) || selectors.some(({ name }) => valuesOf(name, label).size > 0)
      expect([query, label, known]).toEqual([query, label, true])
    }
  }
  // A counter as it stands says nothing; only opened against closed, and a total of what must not be.
  for (const match of query.matchAll(/(switchback_\w+_total)(?:\{[^}]*\})?/g)) {
    if (query[match.index + match[0].length] === '[') continue
    expect(['switchback_events_total', 'switchback_comparisons_total']).toContain(match[1])
  }
}

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string }
}

describe('deploy/', () => {
  test('the alerts: valid rules on metrics, labels and values that exist', async () => {
    const file = parse(await readFile('deploy/prometheus/alerts.yml', 'utf8')) as {
      groups: { name: string; rules: Rule[] }[]
    }
    const rules = file.groups.flatMap((group) => group.rules)
    expect(new Set(file.groups.map(({ name }) => name)).size).toBe(file.groups.length)
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length)
    expect(rules.length).toBeGreaterThan(8)
    for (const rule of rules) {
      expect(rule.alert).toMatch(/^Switchback[A-Z]\w+$/)
      expect(rule.for ?? '0s').toMatch(/^\d+[sm]$/)
      expect(['critical', 'warning']).toContain(rule.labels.severity)
      expect(rule.annotations.summary.length).toBeGreaterThan(20)
      expect(rule.expr).toMatch(/[><]|==/)
      checkQuery(rule.expr)
      // What a text names must be there to be named.
      for (const [, label = ''] of rule.annotations.summary.matchAll(/\$labels\.(\w+)/g)) {
        expect([rule.alert, rule.expr.includes(label) || label === 'instance']).toEqual([
          rule.alert,
          true,
        ])
      }
    }
  })

  test('the scrape configuration keeps every metric that the alerts and the dashboard use', async () => {
    const file = parse(await readFile('deploy/prometheus/prometheus.yml', 'utf8')) as {
      rule_files: string[]
      scrape_configs: { metric_relabel_configs?: { regex: string; action: string }[] }[]
    }
    expect(file.rule_files).toEqual(['alerts.yml'])
    const relabel = file.scrape_configs.flatMap(({ metric_relabel_configs: rules = [] }) => rules)
    const dropped = relabel.filter(({ action }) => action === 'drop')
    const used = ['deploy/prometheus/alerts.yml', 'deploy/grafana/dashboard.json'].map((path) =>
      readFile(path, 'utf8'),
    )
    for (const text of await Promise.all(used)) {
      for (const { name } of selectorsOf(text)) {
        for (const { regex } of dropped) expect(name).not.toMatch(new RegExp(`^(?:${regex})$`))
      }
    }
  })

  test('the dashboard: panels that do not overlap, queries on what exists', async () => {
    interface Panel {
      readonly id: number
      readonly title: string
      readonly type: string
      readonly gridPos: { x: number; y: number; w: number; h: number }
      readonly targets: { expr: string; refId: string }[]
    }
    const text = await readFile('deploy/grafana/dashboard.json', 'utf8')
    const board = JSON.parse(text) as {
      uid: string
      panels: Panel[]
      templating: { list: { name: string }[] }
      annotations: { list: { expr: string }[] }
    }
    const variables = new Set(board.templating.list.map(({ name }) => name))
    for (const [, name = ''] of text.matchAll(/\$\{?([a-z]\w*)/g)) expect(variables).toContain(name)
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length)
    const cells = new Set<string>()
    for (const { title, gridPos, targets } of board.panels) {
      expect(title).not.toBe('')
      expect(targets.length).toBeGreaterThan(0)
      for (const { expr } of targets) checkQuery(expr)
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x} ${y}`)).toBe(false)
          cells.add(`${x} ${y}`)
        }
      }
    }
    for (const { expr } of board.annotations.list) checkQuery(expr)
  })
})
