import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk'
import { metrics } from '@opentelemetry/api'
import type {
  BatchObservableCallback,
  LogRecord,
  Meter,
  MeterProvider,
  Observable,
} from '@opentelemetry/api'
import { afterEach, expect, test } from 'vitest'
import { createTelemetry, evaluationHook } from '../../src/telemetry/index.ts'

/** Collects as an SDK's reader does: calls the callbacks, keeps what they observe. */
class Collector {
  readonly instruments = new Map<Observable, { name: string; kind: string }>()
  readonly callbacks = new Set<BatchObservableCallback>()

  readonly meter: Meter = {
    createObservableCounter: (name: string) => this.#instrument(name, 'counter'),
    createObservableGauge: (name: string) => this.#instrument(name, 'gauge'),
    addBatchObservableCallback: (callback: BatchObservableCallback) => {
      this.callbacks.add(callback)
    },
    removeBatchObservableCallback: (callback: BatchObservableCallback) => {
      this.callbacks.delete(callback)
    },
  } as unknown as Meter

  #instrument(name: string, kind: string): Observable {
    const instrument: Observable = { addCallback() {}, removeCallback() {} }
    this.instruments.set(instrument, { name, kind })
    return instrument
  }

  async collect(): Promise<Map<string, number>> {
    const observed = new Map<string, number>()
    for (const callback of this.callbacks) {
      await callback({
        observe: (instrument, value, attributes) => {
          const known = this.instruments.get(instrument as Observable)
          if (known === undefined) throw new Error('unknown instrument')
          const labels = Object.entries(attributes ?? {}).map(([k, v]) => `${k}=${String(v)}`)
          observed.set(`${known.name}|${labels.join(',')}`, value)
        },
      })
    }
    return observed
  }
}

function hasUser(record: LogRecord): boolean {
  return 'feature_flag.context.id' in (record.attributes ?? {})
}

afterEach(() => metrics.disable())

test('observes counters and late gauges through a meter handed in, until closed', async () => {
  const collector = new Collector()
  const telemetry = createTelemetry({ meter: collector.meter })
  telemetry.operation('on', 'get', 'hit', 3, telemetry.bucketOf('ann'))
  telemetry.gauge('switchback_owed', 'Owed.', { side: 'on' }, () => 7)
  const observed = await collector.collect()
  expect(observed.get('switchback.operations|side=on,operation=get,outcome=hit')).toBe(1)
  expect(observed.get('switchback.owed|side=on')).toBe(7)
  expect(
    observed.get('switchback.operation.duration.seconds.bucket|side=on,class=read,le=0.005'),
  ).toBe(1)
  expect([...observed.keys()].some((name) => name.startsWith('switchback.user.oper'))).toBe(false)
  expect(collector.callbacks.size).toBe(1)
  telemetry.close()
  expect(collector.callbacks.size).toBe(0)
})

test('registers on a global provider only when there is one', async () => {
  const collector = new Collector()
  createTelemetry().close()
  const provider: MeterProvider = { getMeter: () => collector.meter }
  metrics.setGlobalMeterProvider(provider)
  const telemetry = createTelemetry()
  expect((await collector.collect()).size).toBeGreaterThan(50)
  telemetry.close()
})

test('a real evaluation emits one event, without the user unless asked', async () => {
  const flags = {
    'use-redis': { variants: { on: true, off: false }, defaultVariant: 'on', disabled: false },
  }
  await OpenFeature.setProviderAndWait('hook-test', new InMemoryProvider(flags))
  const client = OpenFeature.getClient('hook-test')
  const records: LogRecord[] = []
  const logger = { emit: (record: LogRecord) => void records.push(record) }
  const hooks = [evaluationHook({ logger }), evaluationHook({ logger, includeTargetingKey: true })]
  await client.getBooleanValue('use-redis', false, { targetingKey: 'ann' }, { hooks })
  await client.getBooleanValue('missing', false, { targetingKey: 'ann' }, { hooks: [hooks[0]!] })
  await OpenFeature.close()
  const withUser = records.find((record) => hasUser(record))
  const plain = records.find((record) => !hasUser(record))
  expect(records).toHaveLength(3)
  expect(withUser).toMatchObject({
    eventName: 'feature_flag.evaluation',
    attributes: { 'feature_flag.context.id': 'ann' },
  })
  expect(plain?.attributes).toMatchObject({
    'feature_flag.key': 'use-redis',
    'feature_flag.result.variant': 'on',
  })
  expect(JSON.stringify(plain)).not.toContain('ann')
  expect(records.at(-1)?.attributes).toMatchObject({ 'error.type': 'flag_not_found' })
})
