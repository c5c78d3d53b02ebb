import type { CallArm, MethodReading } from '../../metrics/switch-scrapes.ts'
import type { ControlState } from '../../state/state.ts'
import type { SwitchReading } from '../../state/switches.ts'
import { ApiError, requestRollback } from '../api.ts'
import { byId, h, setAttribute, setText, whenChanged } from '../dom.ts'
import { clock } from '../../../clock.ts'
import { ms, percentText, rate, share } from '../page-format.ts'
import { isEnough } from '../side-name.ts'

interface Row {
  readonly element: HTMLElement
  update(reading: SwitchReading): void
}

/** The switches of `createSwitch` beside the cache: each with its flag, its numbers, its way back. */
export function switches(): { update(state: ControlState): void } {
  const card = byId('switches-card')
  const root = byId('switches')
  const title = byId('switches-of')
  const rows = new Map<string, Row>()
  return {
    update({ switches: readings, fleet }) {
      card.hidden = readings.length === 0
      setText(title, fleet.hasCache ? 'Other switches' : 'Switches')
      const seen = new Set(readings.map(({ name }) => name))
      for (const [name, row] of rows) {
        if (seen.has(name)) continue
        row.element.remove()
        rows.delete(name)
      }
      for (const reading of readings) {
        const row = rows.get(reading.name) ?? switchRow()
        if (!rows.has(reading.name)) root.append(row.element)
        rows.set(reading.name, row)
        row.update(reading)
      }
    },
  }
}

function switchRow(): Row {
  const title = h('h3', {})
  const facts = h('p', { class: 'facts' })
  const button = h('button', { class: 'rollback small', type: 'button' }, 'Roll back')
  const table = h('table', {})
  const outcome = h('p', { class: 'outcome', role: 'status' })
  const words = h('div', { class: 'switch-words' }, title, facts)
  const head = h('div', { class: 'switch-head' }, words, button)
  const element = h('section', { class: 'switch' }, head, outcome, table)
  let known: SwitchReading | undefined

  button.addEventListener('click', () => void goBack())
  async function goBack(): Promise<void> {
    if (known === undefined || button.disabled) return
    button.disabled = true
    setText(outcome, 'Rolling back \u2026')
    const [tone, text] = await requestRollback(known.flag).then(
      (answer): [string, string] =>
        answer.confirmed
          ? [
              'done',
              `Back: ${percentText(answer.from)} \u2192 ${percentText(answer.to)}, and all confirm it.`,
            ]
          : ['failed', `NOT back yet: ${answer.cause}. ${answer.hint}`],
      (error: unknown): [string, string] => [
        'failed',
        error instanceof ApiError ? `${error.message}. ${error.hint}` : String(error),
      ],
    )
    setAttribute(outcome, 'data-outcome', tone)
    setText(outcome, text)
    button.disabled = false
  }

  return {
    element,
    update(reading) {
      known = reading
      const { name, flag, share: part, unknown, names } = reading
      setAttribute(element, 'data-switch', name)
      setAttribute(element, 'aria-label', `Switch ${name}`)
      setText(title, flag === '' || flag === name ? name : `${name}, flag ${flag}`)
      setAttribute(button, 'aria-label', `Roll back ${name}`)
      setAttribute(button, 'data-idle', String(part === 0))
      button.hidden = unknown !== ''
      whenChanged(facts, JSON.stringify({ ...reading, methods: 0 }), () => factsOf(reading))
      whenChanged(table, JSON.stringify([names, reading.methods]), () => rowsOf(reading))
    },
  }
}

function factsOf({
  share: part,
  unknown,
  names,
  outSince,
  known,
  agreeing,
}: SwitchReading): Node[] {
  const fact = (text: string, tone = ''): Node => h('span', { class: `fact ${tone}` }, text)
  const split = part === null ? unknown : `${percentText(part)} ${sideOf('on', names.on)}`
  const out = (['on', 'off'] as const).flatMap((side) => {
    const since = outSince[side]
    if (since === null) return []
    return [fact(`${sideOf(side, names[side])} is out since ${clock(since)} UTC`, 'tick-bad')]
  })
  const decide = `${agreeing} of ${known} ${known === 1 ? 'process' : 'processes'} decide it`
  return [
    fact(split),
    ...(known === 0 || part === null
      ? []
      : [fact(decide, agreeing === known ? 'tick-ok' : 'tick-bad')]),
    ...out,
  ]
}

function sideOf(side: 'on' | 'off', name: string): string {
  const plain = side === 'on' ? 'new side' : 'old side'
  return name === '' || name === 'new' || name === 'old' ? plain : `${name} (${plain})`
}

const COLUMNS = ['operations / s', 'failed', 'fell back', 'p99', 'differ'] as const

function rowsOf({ names, methods }: SwitchReading): Node[] {
  const head = h(
    'thead',
    {},
    h(
      'tr',
      {},
      h('th', { scope: 'col' }, h('span', { class: 'sr' }, 'Method and side')),
      ...COLUMNS.map((name) => h('th', { scope: 'col', class: 'num' }, name)),
    ),
  )
  if (methods.length === 0) return [h('caption', { class: 'empty' }, 'No method was called yet.')]
  const body = methods.flatMap((method) =>
    (['on', 'off'] as const).map((side) =>
      h(
        'tr',
        {},
        h('th', { scope: 'row' }, `${method.name}, ${sideOf(side, names[side])}`),
        ...cellsOf(method[side]),
        side === 'on' ? comparedCell(method) : h('td', { class: 'num' }),
      ),
    ),
  )
  return [head, h('tbody', {}, ...body)]
}

function cellsOf({ operations, errors, fallbacks, p99 }: CallArm): Node[] {
  const cell = (text: string, alarm = false): Node =>
    h('td', { class: 'num', 'data-alarm': String(alarm) }, text)
  const red = (value: number | null): boolean =>
    value !== null && value >= 0.01 && isEnough(value, operations)
  return [
    cell(rate(operations)),
    cell(share(errors), red(errors)),
    cell(share(fallbacks), red(fallbacks)),
    cell(ms(p99)),
  ]
}

/** What the comparisons of both sides found. */
function comparedCell({ compared, mismatches, shadowFailed }: MethodReading): Node {
  const bad = Math.max(mismatches ?? 0, shadowFailed ?? 0)
  const failed = (shadowFailed ?? 0) > 0 ? `, ${share(shadowFailed)} not answered` : ''
  const text = mismatches === null ? '\u2013' : `${share(mismatches)}${failed}`
  const title = `of ${rate(compared)} comparisons a second`
  const alarm = String(bad >= 0.01 && isEnough(bad, compared))
  return h('td', { class: 'num', title, 'data-alarm': alarm }, text)
}
