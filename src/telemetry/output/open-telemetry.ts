import { loadPeerIfThere } from '../../peers.ts'
import type { Family } from './families.ts'

type Api = typeof import('@opentelemetry/api')

/** The part of OpenTelemetry's `Meter` that is used here: its package need not be installed. */
export interface Meter {
  createObservableGauge(name: string, options: { readonly description: string }): object
  createObservableCounter(name: string, options: { readonly description: string }): object
  addBatchObservableCallback(observe: (result: Observations) => void, instruments: object[]): void
  removeBatchObservableCallback(
    observe: (result: Observations) => void,
    instruments: object[],
  ): void
}

/** What the callback of an observable instrument receives. */
export interface Observations {
  observe(instrument: object, value: number, labels: Readonly<Record<string, string>>): void
}

/** The meter of the global provider, or undefined when the application has set none. */
export function globalMeter(): Meter | undefined {
  const api = loadPeerIfThere('@opentelemetry/api') as Api | undefined
  const meter = api?.metrics.getMeter('switchback')
  return meter === api?.createNoopMeter() ? undefined : meter
}

function dotted(name: string): string {
  return name.replace(/_total$/, '').replaceAll('_', '.')
}

/**
 * The observable names of a family: the API has no observable histogram, so its parts are exported.
 */
function parts(family: Family): readonly string[] {
  return family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
}

/**
 * Registers observable instruments on a meter: the counters are read when the reader collects, so
 * the hot path pays nothing. Families for the guard alone are left out. Names are those of
 * Prometheus with dots, e.g. `switchback.operations`; those of a histogram end in `.bucket` (with
 * `le`), `.sum` and `.count`.
 *
 * @returns a function that removes them
 */
export function observeWith(meter: Meter, read: () => readonly Family[]): () => void {
  const instruments = new Map<string, object>()
  for (const family of read()) {
    if (family.detail === true) continue
    for (const suffix of parts(family)) {
      const name = dotted(family.name + suffix)
      const options = { description: family.help }
      instruments.set(
        family.name + suffix,
        family.type === 'gauge' || family.type === 'summary'
          ? meter.createObservableGauge(name, options)
          : meter.createObservableCounter(name, options),
      )
    }
  }
  const observe = (result: Observations): void => {
    for (const family of read()) {
      for (const { suffix = '', labels, value } of family.samples) {
        const instrument = instruments.get(family.name + suffix)
        if (instrument !== undefined) result.observe(instrument, value, labels)
      }
    }
  }
  const observables = [...instruments.values()]
  meter.addBatchObservableCallback(observe, observables)
  return () => meter.removeBatchObservableCallback(observe, observables)
}
