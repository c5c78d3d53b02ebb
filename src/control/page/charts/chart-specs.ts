import { ms, percentText, rate, share } from '../page-format.ts'

/** What a chart shows and how. */
export interface ChartSpec {
  readonly title: string
  readonly height: number
  /** Columns of the series: on, then off. */
  readonly columns: readonly [on: string, off: string]
  /** The names of the two lines. */
  readonly names?: readonly [string, string]
  readonly format: (value: number | null | undefined) => string
  /** Logarithmic: for values that are a hundred times larger in trouble. */
  readonly log?: boolean
  readonly stepped?: boolean
  /** Nothing that a switch of `createSwitch` has. */
  readonly ofCache?: boolean
  readonly range: (min: number, max: number) => [number, number]
  readonly axis: (value: number) => string
}

const fromZero =
  (least: number, room = 1.12) =>
  (_: number, max: number): [number, number] => [
    0,
    Math.max(least, (Number.isFinite(max) ? max : 0) * room),
  ]

/** All charts, from the cause to the effects. */
export const CHARTS: readonly ChartSpec[] = [
  {
    title: 'Split: set, and seen in the traffic',
    height: 92,
    columns: ['share', 'seen'],
    names: ['set', 'seen'],
    format: (value) =>
      percentText(value === null || value === undefined ? value : Number(value.toFixed(1))),
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
    ofCache: true,
    height: 92,
    columns: ['on.hitRate', 'off.hitRate'],
    format: share,
    range: () => [0, 1],
    axis: (value) => `${Math.round(value * 100)} %`,
  },
  {
    title: 'Origin loads a second',
    ofCache: true,
    height: 108,
    columns: ['on.originLoads', 'off.originLoads'],
    format: rate,
    range: fromZero(5),
    axis: (value) => value.toLocaleString('en-US'),
  },
]
