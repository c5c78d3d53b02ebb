import type UPlot from 'uplot'
import type { ControlHistory, ControlState } from '../state.ts'
import type { PageData } from './data.ts'
import { byId, h, setAttribute, setText } from './dom.ts'
import { ms, percent, rate, share } from './format.ts'

type Options = UPlot.Options
type Plot = UPlot

/** Loaded by the page before its modules. */
const Chart = (globalThis as unknown as { uPlot: typeof UPlot }).uPlot

interface ChartSpec {
  readonly title: string
  readonly height: number
  /** Columns of the series: on, then off. */
  readonly columns: readonly [on: string, off: string]
  /** What the two lines are called. */
  readonly names?: readonly [string, string]
  readonly format: (value: number | null | undefined) => string
  /** Logarithmic: of values whose trouble is a hundred times their health. */
  readonly log?: boolean
  readonly stepped?: boolean
  readonly range: (min: number, max: number) => [number, number]
  readonly axis: (value: number) => string
}

const fromZero =
  (least: number, room = 1.12) =>
  (_: number, max: number): [number, number] => [
    0,
    Math.max(least, (Number.isFinite(max) ? max : 0) * room),
  ]

const CHARTS: readonly ChartSpec[] = [
  {
    title: 'Split: set, and seen in the traffic',
    height: 92,
    columns: ['share', 'seen'],
    names: ['set', 'seen'],
    format: (value) =>
      percent(value === null || value === undefined ? value : Number(value.toFixed(1))),
    stepped: true,
    // The names of the changes stand above the line.
    range: fromZero(5, 1.6),
    axis: (value) => `${Number(value.toFixed(2))} %`,
  },
  {
    title: 'Failed or fell back',
    height: 100,
    columns: ['on.bad', 'off.bad'],
    format: share,
    range: fromZero(0.01),
    axis: (value) => `${Number((value * 100).toPrecision(3))} %`,
  },
  {
    title: 'Latency, 99th percentile',
    height: 112,
    columns: ['on.p99', 'off.p99'],
    format: ms,
    log: true,
    range: (min, max) => [
      10 ** Math.floor(Math.log10(Math.max(0.01, Number.isFinite(min) ? min : 0.1))),
      10 ** Math.ceil(Math.log10(Math.max(1, Number.isFinite(max) ? max : 1) * 1.05)),
    ],
    axis: (value) => ms(value).replace('.0 ', ' '),
  },
  {
    title: 'Operations a second',
    height: 92,
    columns: ['on.operations', 'off.operations'],
    format: rate,
    range: fromZero(10),
    axis: (value) => value.toLocaleString('en-US'),
  },
  {
    title: 'Hit rate',
    height: 92,
    columns: ['on.hitRate', 'off.hitRate'],
    format: share,
    range: () => [0, 1],
    axis: (value) => `${Math.round(value * 100)} %`,
  },
  {
    title: 'Origin loads a second',
    height: 108,
    columns: ['on.originLoads', 'off.originLoads'],
    format: rate,
    range: fromZero(5),
    axis: (value) => value.toLocaleString('en-US'),
  },
]

const RANGES = [
  ['2 min', 120],
  ['10 min', 600],
  ['30 min', 1800],
] as const

/** All charts share one time line and one cursor; each change of the split is a line through them all. */
export function charts(data: PageData): {
  update(state: ControlState): void
  history(history: ControlHistory): void
} {
  const root = byId('charts')
  let seconds = Number(localStorage.getItem('switchback-range') ?? 600)
  let changes: ControlHistory = []
  let drawn: DrawnChart[] = []
  let now = Date.now() / 1000

  const draw = (): void => {
    for (const chart of drawn) chart.show(data, now - seconds, now)
  }
  const rebuild = (): void => {
    for (const chart of drawn) chart.destroy()
    root.replaceChildren()
    drawn = CHARTS.map((spec, index) => drawChart(root, spec, index, () => changes))
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
      draw()
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
  index: number,
  changes: () => ControlHistory,
): DrawnChart {
  const [onName, offName] = spec.names ?? ['on', 'off']
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
    optionsOf(spec, root.clientWidth, index === CHARTS.length - 1, {
      markers: (drawn) => drawMarkers(drawn, changes(), index === 0),
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
        ...(labelled ? {} : { values: (_: Plot, splits: number[]) => splits.map(() => '') }),
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

function isPowerOfTen(value: number): boolean {
  return Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6)
}

/** A line for each change, red when it went back; on the first chart with what it did. */
function drawMarkers(plot: Plot, changes: ControlHistory, named: boolean): void {
  const { ctx, bbox } = plot
  const style = getComputedStyle(document.documentElement)
  const { min = 0, max = 0 } = plot.scales['x'] ?? {}
  const ratio = devicePixelRatio
  let free = -Infinity
  ctx.save()
  ctx.setLineDash([])
  ctx.textAlign = 'left'
  ctx.textBaseline = 'alphabetic'
  ctx.font = `${11 * ratio}px system-ui, sans-serif`
  for (const change of changes) {
    const at = change.at / 1000
    if (at < (min ?? 0) || at > (max ?? 0)) continue
    const x = Math.round(plot.valToPos(at, 'x', true))
    const back = (change.to ?? 0) < (change.from ?? 0)
    const ink = style.getPropertyValue(back ? '--trouble' : '--soft').trim()
    ctx.strokeStyle = ink
    ctx.fillStyle = ink
    ctx.lineWidth = ratio
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    if (!named) continue
    const text = change.to === null ? change.action : percent(change.to)
    const { width } = ctx.measureText(text)
    const left =
      x + 4 * ratio + width > bbox.left + bbox.width ? x - width - 4 * ratio : x + 4 * ratio
    if (left < free) continue
    ctx.fillText(text, left, bbox.top + 11 * ratio)
    free = left + width + 6 * ratio
  }
  ctx.restore()
}
