import type { GuardMetric, GuardPlan, GuardReading } from '../../guard-view.ts'
import type { ControlState } from '../../state/state.ts'
import { byId, h, setAttribute, setText, whenChanged } from '../dom.ts'
import { clock } from '../../../clock.ts'
import { odds, share } from '../page-format.ts'
import { guardOrders } from './guard-orders.ts'
import { guardSilentS } from '../guard-silence.ts'

/** Natural logarithms at the ends of the picture: 1,000 : 1 for safe, 100,000 : 1 for regressed. */
const LEFT = Math.log(1000)
const RIGHT = Math.log(100_000)

const NAMES: Readonly<Record<string, string>> = {
  failed: 'Failed for the caller',
  degraded: 'Late, or served by the other side',
  'repeat-misses': 'Repeat misses',
}

const ANSWERS = {
  regressed: { text: 'regressed', tone: 'trouble' },
  safe: { text: 'safe to widen', tone: 'ok' },
  undecided: { text: 'gathering evidence', tone: '' },
  starved: { text: 'cannot decide', tone: 'watch' },
} as const

const MODES: Readonly<Record<GuardReading['mode'], string>> = {
  acting: 'acting',
  advising: 'only watching',
  yielded: 'yielded',
  blind: 'blind',
  standby: 'standby',
  stopped: 'stopped',
}

/** The position of some evidence, in percent from the left; 1 : 1 lies between. */
function place(logOdds: number): number {
  return ((Math.max(-LEFT, Math.min(RIGHT, logOdds)) + LEFT) / (LEFT + RIGHT)) * 100
}

/**
 * The guard's evidence: to the left that the next step is safe, to the right that the new side is
 * worse.
 */
export function guardPanel(): { update(state: ControlState): void } {
  const sentence = h('p', { class: 'guard-sentence' })
  const plan = h('div', {})
  const metrics = h('div', {})
  const scale = h('div', { class: 'scale', 'aria-hidden': 'true' })
  const alarms = h('ul', { class: 'alarms' })
  const waits = h('ul', { class: 'waits' })
  const incidents = h('ul', { class: 'waits' })
  const ended = h('ul', { class: 'waits', id: 'ended-alarms' })
  const orders = guardOrders()
  byId('guard').append(
    sentence,
    alarms,
    ended,
    orders.element,
    plan,
    waits,
    metrics,
    scale,
    incidents,
  )
  const chip = byId('guard-mode')

  return {
    update({ guard, flag, at }) {
      const share = flag.description?.share ?? 0
      if (guard === null) {
        setText(
          sentence,
          'No guard runs here: roll back yourself if needed. A guard compares both sides and rolls back by itself.',
        )
        sentence.className = 'empty'
        setText(chip, 'none')
        for (const part of [plan, waits, metrics, scale, incidents, alarms, ended])
          part.replaceChildren()
        orders.update(null)
        return
      }
      sentence.className = 'guard-sentence'
      const who = guard.elsewhere === undefined ? '' : `${guard.elsewhere} acts: `
      setText(sentence, who + guard.sentence)
      showChip(chip, guard, at)
      orders.update(guard)
      whenChanged(plan, JSON.stringify([guard.plan, share]), () =>
        guard.plan === undefined ? [] : [stepList(guard.plan, share)],
      )
      whenChanged(metrics, JSON.stringify([guard.metrics, guard.lateMs]), () =>
        guard.metrics.map((metric) => picture(metric, guard.lateMs)),
      )
      // One alone is in the sentence.
      const waiting = (guard.waits ?? []).length < 2 ? [] : guard.waits!
      whenChanged(waits, waiting.join('\n'), () => waiting.map((text) => h('li', {}, text)))
      const told = (guard.incidents ?? []).map((one) => incidentText(one))
      whenChanged(incidents, told.join('\n'), () => told.map((text) => h('li', {}, text)))
      whenChanged(scale, thresholdsOf(guard.metrics), () => scaleTexts(guard.metrics))
      whenChanged(alarms, guard.alarms.join('\n'), () =>
        guard.alarms.map((text) => h('li', {}, text)),
      )
      const over = guard.ended ?? []
      whenChanged(ended, over.join('\n'), () => over.map((text) => h('li', {}, text)))
    },
  }
}

function showChip(chip: Element, guard: GuardReading, now: number): void {
  const silent = guardSilentS(guard, now)
  const answer = guard.answer === undefined ? undefined : ANSWERS[guard.answer]
  const acting = guard.mode === 'acting' && guard.paused === undefined
  const tone = silent > 0 ? 'watch' : (answer?.tone ?? (acting ? '' : 'watch'))
  const words = [
    guard.paused === undefined ? MODES[guard.mode] : 'paused',
    silent > 0 ? `silent for ${silent} s` : '',
    answer?.text ?? '',
  ].filter(Boolean)
  setText(chip, words.join(', '))
  setAttribute(chip, 'data-tone', tone)
}

function stepList({ steps, heldS, minHoldS }: GuardPlan, share: number): Node {
  const current = steps.findLastIndex((step) => step <= share)
  const items = steps.map((step, index) =>
    h(
      'li',
      {
        'data-done': String(index <= current),
        ...(index === current
          ? {
              'aria-current': 'step',
              title: `held for ${Math.round(heldS)} s, at least ${minHoldS} s`,
            }
          : {}),
      },
      `${step} %`,
    ),
  )
  return h('ol', { class: 'steps', 'aria-label': 'Plan' }, ...items)
}

function incidentText({ at: when, sentence }: { at: number; sentence: string }): string {
  return `${clock(when)} UTC incident: ${sentence}`
}

function picture(metric: GuardMetric, lateMs: number | undefined): Node {
  const { harm, safety, treatment, control, heldBack } = metric
  const zero = place(0)
  const edge = { harm: place(harm.logThreshold), safe: place(-(safety?.logThreshold ?? LEFT)) }
  const grown = {
    harm: place(Math.max(0, harm.logEvidence)),
    safe: place(-Math.max(0, safety?.logEvidence ?? 0)),
  }
  const over = harm.logEvidence >= harm.logThreshold
  // Of late harm the whole step says little.
  const told = over ? { treatment, control, ...harm } : { treatment, control }
  const late = metric.id === 'degraded' && lateMs !== undefined ? `; late above ${lateMs} ms` : ''
  // Operations are compared once the baseline of the old side is known: there may be many already.
  const begun = told.treatment.total + told.control.total > 0
  const rates = begun
    ? `new side ${rateOf(told.treatment)}, old side ${rateOf(told.control)}${late}`
    : `not compared yet${late}`
  const track = h(
    'div',
    { class: 'track', role: 'img', 'aria-label': words(metric) },
    ...(safety === undefined ? [] : [zone('safe', 0, edge.safe)]),
    zone('harm', edge.harm, 100),
    ...(safety === undefined ? [] : [grow('safe', grown.safe, zero, false)]),
    grow('harm', zero, grown.harm, over),
    at(h('span', { class: 'mark' }), zero),
    ...(safety === undefined ? [] : [at(h('span', { class: 'mark edge safe' }), edge.safe)]),
    at(h('span', { class: 'mark edge harm' }), edge.harm),
  )
  const note =
    over && heldBack !== '' ? [h('p', { class: 'soft' }, `Does not count yet: ${heldBack}.`)] : []
  return h(
    'div',
    { class: 'evidence', title: words(metric) },
    h(
      'div',
      { class: 'evidence-head' },
      h('b', {}, nameOf(metric)),
      h('span', { class: 'soft' }, rates),
    ),
    track,
    ...note,
  )
}

function words(metric: GuardMetric): string {
  const { harm, safety } = metric
  const worse = `evidence that the new side is worse ${odds(harm.logEvidence)}, rolls back at ${odds(harm.logThreshold)}`
  const safe =
    safety === undefined
      ? 'no wider step to judge'
      : `evidence that widening is safe ${odds(safety.logEvidence)}, needs ${odds(safety.logThreshold)}`
  return `${nameOf(metric)}: ${safe}; ${worse}`
}

function nameOf({ id }: GuardMetric): string {
  return NAMES[id] ?? id
}

function rateOf({ bad, total }: { readonly bad: number; readonly total: number }): string {
  return total === 0 ? 'no operations' : share(bad / total)
}

function zone(kind: 'safe' | 'harm', from: number, to: number): HTMLElement {
  return between(h('span', { class: `zone ${kind}` }), from, to)
}

function grow(kind: 'safe' | 'harm', from: number, to: number, over: boolean): HTMLElement {
  return between(h('span', { class: `grow ${kind}`, 'data-over': String(over) }), from, to)
}

function between(element: HTMLElement, from: number, to: number): HTMLElement {
  element.style.left = `${from}%`
  element.style.width = `${Math.max(0, to - from)}%`
  return element
}

function at(element: HTMLElement, left: number): HTMLElement {
  element.style.left = `${left}%`
  return element
}

function thresholdsOf(metrics: readonly GuardMetric[]): string {
  const safe = metrics.find(({ safety }) => safety !== undefined)?.safety
  return JSON.stringify([metrics[0]?.harm.logThreshold, safe?.logThreshold])
}

function scaleTexts(metrics: readonly GuardMetric[]): Node[] {
  const [first] = metrics
  if (first === undefined) return []
  const safe = metrics.find(({ safety }) => safety !== undefined)?.safety
  const label = (logOdds: number, towards: string, what: string): HTMLElement =>
    at(h('span', { class: towards }, odds(Math.abs(logOdds)), h('br'), what), place(logOdds))
  return [
    ...(safe === undefined ? [] : [label(-safe.logThreshold, 'to-left', 'safe to widen')]),
    label(0, 'to-right', 'no evidence'),
    label(first.harm.logThreshold, '', 'roll back'),
  ]
}
