import { isSwitchbackError, messageOf, SwitchbackError } from '../../errors.ts'
import { LOAD } from '../../load-package.ts'
import { LATENCY_BOUNDS } from '../../metrics.ts'
import { metricsUrl } from '../../scrape/index.ts'
import type { MetricRule } from '../rule/index.ts'
import type { Watched } from '../samples/reading.ts'
import { parseSelector } from '../samples/metric-selector.ts'
import type { Selector } from '../samples/metric-selector.ts'
import {
  BUILT_IN,
  CUSTOM,
  DEFAULT_LIMIT,
  LATE_OF_A_SWITCH_S,
  LATE_S,
  OF_A_SWITCH,
} from './defaults.ts'
import { readNotify } from './notify.ts'
import { isOldMargin, refuseOldForm } from './old-form.ts'
import { type CustomMetric, type Limit, type Plan, watchedText } from './plan.ts'
import { PlanReader } from './reader.ts'

const KEYS =
  'flag switch method steps hold settle users operations alpha evidence baseline baselineTime lost metrics custom limits advance interval replicas prometheus notify'.split(
    ' ',
  )

/**
 * Reads a plan, YAML or JSON. Every key has a default, so `{}` is a plan; docs/configuration.md
 * lists all of them.
 *
 * @throws SwitchbackError `SB_PLAN_INVALID` with all problems
 */
export function parsePlan(text: string): Plan {
  const { parse } = LOAD.yaml() as typeof import('yaml')
  let value: unknown
  try {
    value = parse(text, { maxAliasCount: 20 })
  } catch (error) {
    throw invalid([`not YAML: ${messageOf(error)}`], error)
  }
  const reader = new PlanReader(value ?? {})
  const plan = readPlan(reader)
  if (reader.problems.length > 0) throw invalid(reader.problems)
  return plan
}

function invalid(problems: readonly string[], cause?: unknown): SwitchbackError {
  const [first = ''] = problems
  const rest = problems.length - 1
  const message = rest === 0 ? first : `${first} (and ${rest} more)`
  return new SwitchbackError('SB_PLAN_INVALID', `Plan: ${message}`, {
    hint:
      problems.length > 1
        ? problems.join('; ')
        : 'Correct the plan; docs/configuration.md lists all keys.',
    cause,
  })
}

function readPlan(reader: PlanReader): Plan {
  const told = refuseOldForm(reader)
  reader.only(...KEYS, ...told)
  const lost = reader.at('lost')
  lost.only('after', 'giveUpAfter', 'then', 'quorum')
  const custom = reader.at('custom').list()
  const steps = readSteps(reader.at('steps'))
  const watched = readWatched(reader)
  const { lateS, rules } = readBuiltIn(reader.at('metrics'), told, watched)
  return {
    flag: reader.at('flag').missing ? undefined : reader.at('flag').text(''),
    watched,
    steps,
    metrics: [...rules, ...custom.map((entry) => readCustomRule(entry))],
    lateS,
    custom: custom.map((entry) => readCustom(entry)),
    limits: readLimits(reader.at('limits')),
    judge: {
      shares: steps.map((step) => step / 100),
      alpha: reader.at('alpha').share(0.01, 0.2),
      advanceEvidence: reader.at('evidence').number(20, 2, 1e6),
      baselineOperations: reader.at('baseline').number(3000, 100, 1e9),
      minOperations: reader.at('operations').number(30, 1, 1e9),
      minHoldS: reader.at('hold').duration(60_000) / 1000,
      settleS: reader.at('settle').duration(10_000) / 1000,
    },
    baselineS: reader.at('baselineTime').duration(30_000) / 1000,
    minUsers: reader.at('users').number(0, 0, 1e9),
    blindness: {
      alarmAfterS: lost.at('after').duration(30_000) / 1000,
      giveUpAfterS: lost.at('giveUpAfter').duration(600_000) / 1000,
      quorum: lost.at('quorum').share(0.5),
    },
    lost: lost.at('then').oneOf(['page', 'rollback'], 'page'),
    advance: reader.at('advance').oneOf(['auto', 'ask'], 'auto'),
    intervalMs: reader.at('interval').duration(1000, 100),
    sources: readSources(reader),
    notify: readNotify(reader.at('notify')),
  }
}

function readWatched(reader: PlanReader): Watched | undefined {
  const [name, method] = [reader.at('switch'), reader.at('method')]
  if (name.missing && !method.missing) method.problem('needs switch, whose method it is')
  return name.missing ? undefined : { switch: name.text(''), method: method.text('') }
}

function readSteps(reader: PlanReader): readonly number[] {
  if (reader.missing) return [1, 5, 10, 25, 50, 100]
  const steps = reader.list().map((entry) => entry.number(0, 0.001, 100))
  if (steps.length === 0) reader.problem('no steps')
  if (steps.some((step, i) => i > 0 && step <= steps[i - 1]!)) reader.problem('steps must rise')
  if (steps.some((step) => Math.abs(step * 1000 - Math.round(step * 1000)) > 1e-9)) {
    reader.problem('steps may have at most three decimals')
  }
  return steps
}

function readRule(reader: PlanReader, base: MetricRule): MetricRule {
  const harm = reader.at('harm').share(base.harm)
  if (harm === 0) reader.at('harm').problem('with harm 0 nothing can ever be proven safe')
  const patienceS = reader.at('patience').duration(base.patienceS * 1000, 1000) / 1000
  return { ...base, harm, patienceS }
}

function readBuiltIn(
  reader: PlanReader,
  told: readonly string[],
  watched: Watched | undefined,
): { readonly rules: MetricRule[]; readonly lateS: number } {
  const builtIn = watched === undefined ? BUILT_IN : OF_A_SWITCH
  const usual = watched === undefined ? LATE_S : LATE_OF_A_SWITCH_S
  const what = watched === undefined ? '' : ` of ${watchedText(watched)}`
  reader.only(...builtIn.map(({ id }) => id), ...told)
  let lateS = usual
  const rules = builtIn.flatMap((base) => {
    const entry = reader.at(base.id)
    if (base.id === 'mismatched' && entry.missing) return []
    if (entry.value === 'off' || entry.value === false) return []
    const late = base.id === 'degraded' ? ['late'] : []
    entry.only('harm', 'patience', ...late, ...entry.keys().filter((key) => isOldMargin(key)))
    if (late.length === 0)
      return [{ ...readRule(entry, base), ...(what && { basis: what.trim() }) }]
    lateS = boundAbove(entry.at('late').duration(usual * 1000, 1) / 1000)
    return [{ ...readRule(entry, base), basis: `later than ${lateS * 1000} ms${what}` }]
  })
  return { rules, lateS }
}

/** Late is counted above the bounds of the latency histogram only. */
function boundAbove(seconds: number): number {
  const bounds = LATENCY_BOUNDS.filter((bound) => Number.isFinite(bound))
  return bounds.find((bound) => bound >= seconds) ?? bounds.at(-1)!
}

function readCustomRule(reader: PlanReader): MetricRule {
  const old = reader.keys().filter((key) => isOldMargin(key))
  reader.only('id', 'bad', 'total', 'harm', 'patience', 'designEffect', ...old)
  const id = reader.at('id').text('')
  if (
    !/^[a-z][a-z0-9-]*$/.test(id) ||
    [...BUILT_IN, ...OF_A_SWITCH].some((rule) => rule.id === id)
  ) {
    reader.at('id').problem('needs a unique name in lower case, e.g. checkout')
  }
  const designEffect = reader.at('designEffect').number(CUSTOM.designEffect, 1, 1000)
  const basis = `${reader.at('bad').text('')} of ${reader.at('total').text('')}`
  return { ...readRule(reader, { ...CUSTOM, id, designEffect }), basis }
}

function readSelector(reader: PlanReader): Selector {
  try {
    return parseSelector(reader.text('missing'))
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    reader.problem(error.message)
    return parseSelector('missing')
  }
}

function readCustom(reader: PlanReader): CustomMetric {
  for (const key of ['bad', 'total']) {
    if (reader.at(key).missing) reader.at(key).problem('needs a selector of a counter')
  }
  return {
    id: reader.at('id').text(''),
    bad: readSelector(reader.at('bad')),
    total: readSelector(reader.at('total')),
  }
}

function readLimits(reader: PlanReader): readonly Limit[] {
  if (reader.missing) {
    const { selector, above, forS } = DEFAULT_LIMIT
    return [{ selector: parseSelector(selector), of: 'value', above, forS, action: 'hold' }]
  }
  return reader.list().map((entry) => {
    entry.only('value', 'rate', 'above', 'for', 'then')
    const of = entry.at('rate').missing ? 'value' : 'rate'
    if (entry.at('rate').missing === entry.at('value').missing) {
      entry.problem('needs either value or rate')
    }
    if (entry.at('above').missing) entry.problem('needs above')
    return {
      selector: readSelector(entry.at(of)),
      of,
      above: entry.at('above').number(0, -1e15, 1e15),
      forS: entry.at('for').duration(30_000) / 1000,
      action: entry.at('then').oneOf(['hold', 'rollback'], 'hold'),
    }
  })
}

function readSources(reader: PlanReader): Plan['sources'] {
  const url = (entry: PlanReader): string => {
    const text = entry.text('http://missing')
    try {
      return metricsUrl(text).href
    } catch {
      entry.problem(`${JSON.stringify(text)} is not an http URL`)
      return text
    }
  }
  const prometheus = reader.at('prometheus')
  if (!prometheus.missing) prometheus.only('url', 'matchers')
  return {
    replicas: reader
      .at('replicas')
      .list()
      .map((entry) => url(entry)),
    prometheus: prometheus.missing
      ? undefined
      : { url: url(prometheus.at('url')), matchers: prometheus.at('matchers').text('').trim() },
  }
}
