import type { ArmReading } from '../../metrics/index.ts'
import type { ControlState } from '../../state/state.ts'
import { isEnough, isEnoughForP99, sideName } from '../side-name.ts'
import { byId, h, setAttribute, setText } from '../dom.ts'
import { ms, rate, share } from '../page-format.ts'

interface Row {
  readonly name: string
  readonly title: string
  readonly lead?: boolean
  /** Nothing that a switch of `createSwitch` has. */
  readonly ofCache?: boolean
  readonly read: (arm: ArmReading) => number | null
  readonly format: (value: number | null | undefined) => string
  /**
   * From which ratio of new to old side the difference is shown as worse, and which difference is
   * ignored.
   */
  readonly worse?: { readonly more: number; readonly floor: number; readonly alike?: number }
  readonly alarm?: (value: number) => boolean
}

const ROWS: readonly Row[] = [
  {
    name: 'operations / s',
    title: 'Operations of business code',
    lead: true,
    read: (arm) => arm.operations,
    format: rate,
  },
  {
    name: 'failed or timed out',
    title: 'Share of the operations that the side answered late or not at all',
    lead: true,
    read: (arm) => arm.errors,
    format: share,
    worse: { more: 1.5, floor: 0.001 },
    alarm: (value) => value >= 0.01,
  },
  {
    name: 'fell back',
    title: 'Share that the other side or the origin served instead: users got their answer',
    read: (arm) => arm.fallbacks,
    format: share,
    worse: { more: 1.5, floor: 0.001 },
    alarm: (value) => value >= 0.01,
  },
  { name: 'p50', title: 'Half of the operations are faster', read: (arm) => arm.p50, format: ms },
  { name: 'p95', title: '95 % of the operations are faster', read: (arm) => arm.p95, format: ms },
  {
    name: 'p99',
    title: '99 % of the operations are faster',
    lead: true,
    read: (arm) => arm.p99,
    format: ms,
    worse: { more: 3, floor: 5, alike: 0.2 },
  },
  {
    name: 'hit rate',
    ofCache: true,
    title: 'A smaller share of users hits less often even when all is well: look at repeat misses',
    read: (arm) => arm.hitRate,
    format: share,
  },
  {
    name: 'repeat misses',
    ofCache: true,
    title: 'Misses on what the same process had stored here recently: the cache loses entries',
    read: (arm) => arm.repeatMisses,
    format: share,
    worse: { more: 1.5, floor: 0.02 },
  },
  {
    name: 'origin loads / s',
    ofCache: true,
    title: 'Values loaded from the origin because neither side had them',
    read: (arm) => arm.originLoads,
    format: rate,
  },
]

/** Both sides side by side. */
export function sides(): { update(state: ControlState): void } {
  const cells = ROWS.map((row) => {
    const number = `num${row.lead === true ? ' lead' : ''}`
    return {
      row,
      on: h('td', { class: number }),
      off: h('td', { class: number }),
      diff: h('td', { class: 'num versus' }),
    }
  })
  const onName = h('span', {}, 'new side')
  const offName = h('span', {}, 'old side')
  const head = h(
    'tr',
    {},
    h('th', { scope: 'col' }, h('span', { class: 'sr' }, 'What')),
    h('th', { scope: 'col', class: 'num' }, h('span', { class: 'key' }), onName),
    h('th', { scope: 'col', class: 'num' }, h('span', { class: 'key off' }), offName),
    h('th', { scope: 'col', class: 'num' }, 'difference'),
  )
  const lines = cells.map(({ row, on, off, diff }) =>
    h('tr', { title: row.title }, h('th', { scope: 'row' }, row.name), on, off, diff),
  )
  const table = h('table', {}, h('thead', {}, head), h('tbody', {}, ...lines))
  const caption = h('caption', { class: 'sr' }, 'Both sides over the last five seconds')
  table.prepend(caption)
  byId('sides').append(table)

  return {
    update({ fleet }) {
      setText(onName, sideName('on', fleet.backends.on))
      setText(offName, sideName('off', fleet.backends.off))
      for (const [index, { row, on, off, diff }] of cells.entries()) {
        lines[index]!.hidden = row.ofCache === true && fleet.of === 'switch'
        const [a, b] = (['on', 'off'] as const).map((side) =>
          fleet.arms === undefined ? null : row.read(fleet.arms[side]),
        ) as [number | null, number | null]
        setText(on, row.format(a))
        setText(off, row.format(b))
        const red = (value: number | null, side: 'on' | 'off'): boolean =>
          value !== null &&
          row.alarm?.(value) === true &&
          isEnough(value, fleet.arms?.[side].operations ?? 0)
        setAttribute(on, 'data-alarm', String(red(a, 'on')))
        setAttribute(off, 'data-alarm', String(red(b, 'off')))
        const { text, worse } = difference(row, a, b, fleet.arms)
        setText(diff, text)
        diff.classList.toggle('worse', worse)
      }
    },
  }
}

function difference(
  row: Row,
  on: number | null,
  off: number | null,
  arms: ControlState['fleet']['arms'],
): { text: string; worse: boolean } {
  if (row.worse === undefined || on === null || off === null || arms === undefined) {
    return { text: '', worse: false }
  }
  const few =
    row.format === ms &&
    !(['on', 'off'] as const).every((side) => isEnoughForP99(arms[side].operations))
  if (few) return { text: 'too few', worse: false }
  const { more, floor, alike = floor } = row.worse
  if (Math.abs(on - off) < alike) return { text: 'alike', worse: false }
  // Of shares, a few bad ones prove nothing.
  const enough = row.format !== share || isEnough(on, arms.on.operations)
  const worse = enough && on > off * more + floor
  if (off === 0) return { text: worse ? 'worse' : '', worse }
  const ratio = on / off
  if (ratio > 1)
    return {
      text: `${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio).toLocaleString('en-US')} times`,
      worse,
    }
  return { text: `1/${(1 / ratio).toFixed(1)}`, worse }
}
