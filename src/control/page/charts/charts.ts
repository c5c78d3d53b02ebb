import type UPlot from 'uplot'
import type { ControlHistory, ControlState } from '../../state/state.ts'
import type { PageData } from './data.ts'
import { drawMarkers } from './chart-markers.ts'
import { CHARTS, type ChartSpec } from './chart-specs.ts'
import { byId, h, setAttribute, setText } from '../dom.ts'
import { clock } from '../../../clock.ts'

type Options = UPlot.Options
type Plot = UPlot

/** Loaded by the page before its modules. */
const Chart = (globalThis as unknown as { uPlot: typeof UPlot }).uPlot

const RANGES = [
  ['2 min', 120],
  ['10 min', 600],
  ['30 min', 1800],
] as const

/**
 * All charts share one time line and one cursor; each change of the split is a line through them
 * all.
 */
export function charts(data: PageData): {
  update(state: ControlState): void
  history(history: ControlHistory): void
} {
  const root = byId('charts')
  let seconds = Number(localStorage.getItem('switchback-range') ?? 600)
  let changes: ControlHistory = []
  let drawn: DrawnChart[] = []
  let of: ControlState['fleet']['of'] = 'cache'
  // The server's time, of its last update.
  let now = 0

  const draw = (): void => {
    for (const chart of drawn) chart.show(data, now - seconds, now)
  }
  const rebuild = (): void => {
    for (const chart of drawn) chart.destroy()
    root.replaceChildren()
    const shown = CHARTS.filter(({ ofCache }) => ofCache !== true || of === 'cache')
    drawn = shown.map((spec, index) =>
      drawChart(
        root,
        spec,
        { first: index === 0, last: index === shown.length - 1 },
        () => changes,
      ),
    )
    draw()
  }
  rangeButtons(seconds, (chosen) => {
    seconds = chosen
    draw()
  })
  rebuild()
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', rebuild)
  new ResizeObserver(() => {
    for (const chart of drawn) chart.resize(root.clientWidth)
  }).observe(root)

  return {
    update(state) {
      now = state.at / 1000
      if (state.fleet.of === of) return draw()
      of = state.fleet.of
      rebuild()
    },
    history(history) {
      changes = history
      draw()
    },
  }
}

function rangeButtons(chosen: number, choose: (seconds: number) => void): void {
  byId('range').append(
    ...RANGES.map(([name, seconds]) => {
      const input = h('input', {
        type: 'radio',
        name: 'range',
        value: String(seconds),
        checked: seconds === chosen,
      })
      input.addEventListener('change', () => {
        localStorage.setItem('switchback-range', String(seconds))
        choose(seconds)
      })
      return h('label', {}, input, name)
    }),
  )
}

interface DrawnChart {
  show(data: PageData, from: number, to: number): void
  resize(width: number): void
  destroy(): void
}

function drawChart(
  root: HTMLElement,
  spec: ChartSpec,
  { first, last }: { readonly first: boolean; readonly last: boolean },
  changes: () => ControlHistory,
): DrawnChart {
  const [onName, offName] = spec.names ?? ['new', 'old']
  const on = h('span', { class: 'side-on' })
  const off = h('span', { class: 'side-off' })
  const keys = [
    h('span', {}, h('span', { class: 'key' }), on),
    h('span', {}, h('span', { class: 'key off' }), off),
  ]
  const head = h(
    'div',
    { class: 'chart-head' },
    h('b', {}, spec.title),
    h('span', { class: 'values' }, ...keys),
  )
  const holder = h('div', { role: 'img' })
  root.append(h('div', { class: 'chart' }, head, holder))

  let columns: (number | null)[][] = [[], [], []]
  const tell = (at: number | null | undefined): void => {
    const position = at ?? (columns[0]?.length ?? 0) - 1
    setText(on, `${onName} ${spec.format(columns[1]?.[position])}`)
    setText(off, `${offName} ${spec.format(columns[2]?.[position])}`)
  }
  const plot = new Chart(
    optionsOf(spec, root.clientWidth, last, {
      markers: (drawn) => drawMarkers(drawn, changes(), first),
      cursor: (drawn) => tell(drawn.cursor.idx),
    }),
    columns as UPlot.AlignedData,
    holder,
  )
  return {
    show(data, from, to) {
      columns = data.columns(spec.columns, from)
      plot.setData(columns as UPlot.AlignedData, false)
      plot.setScale('x', { min: from, max: to })
      tell(plot.cursor.idx)
      setAttribute(holder, 'aria-label', `${spec.title}: now ${on.textContent}, ${off.textContent}`)
    },
    resize: (width) => plot.setSize({ width, height: plot.height }),
    destroy: () => plot.destroy(),
  }
}

function optionsOf(
  spec: ChartSpec,
  width: number,
  labelled: boolean,
  hooks: { readonly markers: (plot: Plot) => void; readonly cursor: (plot: Plot) => void },
): Options {
  const ink = (name: string): string =>
    getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const font = '11px system-ui, sans-serif'
  // On a logarithmic axis the tens only.
  const shown = (_: Plot, splits: number[]): (number | null)[] =>
    splits.map((value) => (spec.log !== true || isPowerOfTen(value) ? value : null))
  const rule = { stroke: ink('--rule'), width: 1 }
  const paths = spec.stepped === true ? Chart.paths.stepped?.({ align: 1 }) : undefined
  return {
    width: Math.max(200, width),
    tzDate: (seconds) => Chart.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    height: spec.height,
    padding: [8, 8, labelled ? 0 : 8, 0],
    legend: { show: false },
    cursor: {
      sync: { key: 'switchback' },
      y: false,
      points: { show: false },
      drag: { x: false, y: false },
    },
    scales: {
      x: { time: true, auto: false },
      y: {
        range: (_, min, max) => spec.range(min, max),
        ...(spec.log === true ? { distr: 3 as const } : {}),
      },
    },
    axes: [
      {
        stroke: ink('--soft'),
        font,
        grid: rule,
        ticks: { show: false },
        size: labelled ? 20 : 0,
        gap: 4,
        values: (_: Plot, splits: number[]) => splits.map((at) => (labelled ? timeText(at) : '')),
      },
      {
        stroke: ink('--soft'),
        font,
        grid: { ...rule, filter: shown },
        ticks: { show: false },
        size: 58,
        gap: 6,
        space: 26,
        filter: shown,
        values: (_, splits) =>
          splits.map((value: number | null) => (value === null ? '' : spec.axis(value))),
      },
    ],
    series: [
      {},
      {
        stroke: ink('--on'),
        width: 2,
        points: { show: false },
        ...(paths === undefined ? {} : { paths }),
      },
      { stroke: ink('--off'), width: 1.6, dash: [5, 4], points: { show: false } },
    ],
    hooks: { draw: [hooks.markers], setCursor: [hooks.cursor] },
  }
}

/** `14:03`, and `14:03:30` between two minutes. */
function timeText(seconds: number): string {
  const text = clock(seconds * 1000)
  return text.endsWith(':00') ? text.slice(0, 5) : text
}

function isPowerOfTen(value: number): boolean {
  return Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6)
}
