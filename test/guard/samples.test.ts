import { getEventListeners } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { parseSelector, prometheusSource, quantile, replicaSource } from '../../src/guard/index.ts'
import { ExpositionReader } from '../../src/scrape/index.ts'
import { difference } from '../../src/guard/samples/difference.ts'
import { readingOf } from '../../src/guard/samples/reading.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import type { Telemetry } from '../../src/telemetry/index.ts'
import { deferred } from '../support/deferred.ts'
import { inFull } from '../support/full.ts'
import { anyText } from '../support/any-text.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

function telemetry(): Telemetry {
  const made = createTelemetry({ meter: false })
  closing.push(() => made.close())
  return made
}

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  closing.push(() => {
    server.closeAllConnections()
    return new Promise((resolve) => {
      server.close(resolve)
    })
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
}

function parse(text: string): ReturnType<ExpositionReader['end']> {
  const reader = new ExpositionReader(() => true)
  reader.push(text)
  return reader.end()
}

describe('the text format', () => {
  test('our own metrics come back as they were counted, however the text is cut', () => {
    const counts = telemetry()
    counts.operation('on', 'get', 'failed', 30, 37)
    counts.operation('on', 'get', 'timed_out', 50, 5, true)
    counts.operation('on', 'get', 'hit', 30, 5)
    counts.operation('off', 'set', 'stored', 600, 5)
    counts.event('on', 'repeat_miss', 5)
    const text = counts.prometheus()
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: text.length }), { maxLength: 20 }), (cuts) => {
        const reader = new ExpositionReader((name) => name.startsWith('switchback_'))
        let from = 0
        for (const cut of [...cuts.sort((a, b) => a - b), text.length]) {
          reader.push(text.slice(from, cut))
          from = cut
        }
        const { arms, instance } = readingOf('a', 1, reader.end(), [])
        expect(instance).toBe(counts.snapshot().instance)
        expect([arms.on.operations[5], arms.on.failed[5], arms.on.fellBack[5]]).toEqual([3, 1, 1])
        expect(arms.on.repeatMisses[5]).toBe(1)
        // What was bad is not late besides.
        expect(arms.on.late.get(0.025)?.[5]).toBe(1)
        expect(arms.off.late.get(0.5)?.[5]).toBe(1)
        expect(arms.off.users + arms.on.users).toBeGreaterThanOrEqual(2)
      }),
      { numRuns: 50, seed: 7 },
    )
  })

  test('labels with anything in them, timestamps and odd spacing are read', () => {
    expect(
      parse('a{x="q\\"\\\\\\n}{",y="",} +Inf 123\n# junk\n\n  b 1e-3\nc{} .5\r\nd NaN').map(
        ({ name, labels, value }) => [name, { ...labels }, value],
      ),
    ).toEqual([
      ['a', { x: 'q"\\\n}{', y: '' }, Infinity],
      ['b', {}, 0.001],
      ['c', {}, 0.5],
      ['d', {}, Number.NaN],
    ])
  })

  test.each(['{x="1"} 1', 'a{x=1} 1', 'a{x="1} 1', 'a 1 2 3', 'a', 'a 0x10', 'a one', '<html>'])(
    'refuses %j',
    (line) => {
      expect(() => parse(line)).toThrow(expect.objectContaining({ code: 'SB_METRICS_SYNTAX' }))
    },
  )

  test('never crashes in another way, whatever it is fed', () => {
    fc.assert(
      fc.property(anyText({ maxLength: 300 }), (text) => {
        try {
          parse(text)
        } catch (error) {
          expect(error).toMatchObject({ code: 'SB_METRICS_SYNTAX' })
        }
      }),
      { numRuns: inFull(500, 2000), seed: 7 },
    )
  })

  test('a label named after an object’s own property is a label', () => {
    const [series] = parse('a{__proto__="x",constructor="y"} 1')
    expect(Object.entries(series!.labels)).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ])
  })

  test('is bounded in series and line length', () => {
    const small = new ExpositionReader(() => true, { maxSeries: 2, maxLine: 50 })
    small.push('a 1\nb 1\n')
    expect(() => small.push('c 1\n')).toThrow(
      expect.objectContaining({ code: 'SB_METRICS_TOO_LARGE' }),
    )
    const long = new ExpositionReader(() => true, { maxLine: 50 })
    expect(() => long.push('x'.repeat(51))).toThrow('too long')
  })
})

describe('counters that make no sense make the replica unusable', () => {
  const good = 'switchback_instance_info{instance_id="i"} 1\n'
  test.each([
    'switchback_user_operations_total{side="on",bucket="0"} -1',
    'switchback_user_operations_total{side="on",bucket="0"} NaN',
    'switchback_user_operations_total{side="on",bucket="0"} 1e300',
    'switchback_user_operations_total{side="on",bucket="32"} 1',
    'switchback_user_bad_operations_total{side="on",bucket="x"} 1',
    'switchback_user_bad_operations_total{side="on"} 1',
  ])('%s', (line) => {
    expect(() => readingOf('a', 1, parse(good + line), [])).toThrow(
      expect.objectContaining({
        code: 'SB_METRICS_UNUSABLE',
        // Whoever shows it puts the replica's name before it.
        message: expect.stringMatching(/^(says|has) /),
      }),
    )
  })

  test('a replica of an older version, which does not say how it ended, counts as served', () => {
    const line = 'switchback_user_bad_operations_total{side="on",bucket="3"} 4'
    const { arms } = readingOf('a', 1, parse(`${good}${line}\n`), [])
    expect([arms.on.fellBack[3], arms.on.failed[3]]).toEqual([4, 0])
  })

  test('an open breaker is read with the backend and the time', () => {
    const text = [
      'switchback_side_out_seconds{cache="c",side="on",backend="redis"} 12.5',
      'switchback_side_out_seconds{cache="c",side="off",backend="file"} 0',
      '',
    ].join('\n')
    expect(readingOf('a', 100, parse(good + text), []).out).toEqual([
      { side: 'on', backend: 'redis', since: 87.5 },
    ])
    expect(readingOf('a', 10, parse(good + text), []).out).toEqual([])
  })

  test('another application’s metrics are told from ours', () => {
    expect(() => readingOf('a', 1, parse('up 1'), [])).toThrow('switchback_instance_info')
  })
})

describe('differences', () => {
  function reading(counts: Telemetry, at: number): ReturnType<typeof readingOf> {
    return readingOf('a', at, parse(counts.prometheus()), [parseSelector('switchback_bytes_total')])
  }

  test('first sight is a baseline, then only what is new counts', () => {
    const counts = telemetry()
    counts.operation('on', 'get', 'failed', 1, 3)
    const first = reading(counts, 10)
    expect(difference(undefined, first)).toBeUndefined()
    counts.operation('on', 'get', 'failed', 1, 3)
    counts.operation('off', 'get', 'hit', 1, 4)
    counts.bytes('on', 'read', 7)
    const found = difference(first, reading(counts, 12))
    expect(found).toMatchObject({ elapsedS: 2, reset: false })
    expect(found?.arms.on.failed[3]).toBe(1)
    expect(found?.arms.off.operations[4]).toBe(1)
    expect(found?.selected.get('switchback_bytes_total')).toMatchObject({ sum: 7, on: 7, off: 0 })
    expect(difference(first, { ...first, at: 10 })).toBeUndefined()
  })

  test('a restart counts from zero on both arms, never below', () => {
    const before = telemetry()
    for (let i = 0; i < 50; i++) before.operation('off', 'get', 'hit', 1, 1)
    for (let i = 0; i < 5; i++) before.operation('on', 'get', 'failed', 1, 1)
    const after = telemetry()
    for (let i = 0; i < 9; i++) after.operation('on', 'get', 'hit', 1, 1)
    after.operation('off', 'get', 'hit', 1, 1)
    const found = difference(reading(before, 1), reading(after, 2))
    expect(found?.reset).toBe(true)
    expect([found?.arms.on.operations[1], found?.arms.on.failed[1]]).toEqual([9, 0])
    expect(found?.arms.off.operations[1]).toBe(1)
  })

  test('a restart that has already counted more than before is still a restart', () => {
    const before = telemetry()
    before.operation('on', 'get', 'hit', 1, 1)
    const after = telemetry()
    for (let i = 0; i < 9; i++) after.operation('on', 'get', 'hit', 1, 1)
    const found = difference(reading(before, 1), reading(after, 2))
    expect([found?.reset, found?.arms.on.operations[1]]).toEqual([true, 9])
  })

  test('one fallen counter resets both arms, even without a new instance', () => {
    const counts = telemetry()
    for (let i = 0; i < 5; i++) counts.operation('off', 'get', 'hit', 1, 1)
    counts.operation('on', 'get', 'hit', 1, 2)
    const now = reading(counts, 2)
    const before = reading(counts, 1)
    before.arms.off.operations[1] = 6
    const found = difference(before, now)
    expect(found?.reset).toBe(true)
    expect([found?.arms.off.operations[1], found?.arms.on.operations[2]]).toEqual([5, 1])
  })
})

describe('selectors', () => {
  const series = { name: 'a', labels: { code: '500', path: '/x' }, value: 1 }
  test.each([
    ['a', true],
    ['b', false],
    ['a{code="500"}', true],
    ['a{code!="500"}', false],
    ['a{code=~"5..",path!~"/y.*"}', true],
    ['a{code=~"5"}', false],
    ['a{missing=""}', true],
  ])('%s', (text, matches) => {
    expect(parseSelector(text).matches(series)).toBe(matches)
  })

  test.each(['', 'rate(a[5m])', 'a{', 'a{x}', 'a{x="1" y="2"}', 'a{x=~"("}'])(
    'refuses %j',
    (text) => {
      expect(() => parseSelector(text)).toThrow(
        expect.objectContaining({ code: 'SB_SELECTOR_INVALID' }),
      )
    },
  )
})

describe('quantiles', () => {
  const bounds = [0.001, 0.01, 0.1, 1, Infinity]

  test('lie in the bucket of their rank, and rise with it', () => {
    const counts = fc.array(fc.nat(1000), { minLength: bounds.length, maxLength: bounds.length })
    fc.assert(
      fc.property(counts, fc.double({ min: 0.01, max: 0.999, noNaN: true }), (each, q) => {
        let sum = 0
        const cumulative = each.map((count) => (sum += count))
        const value = quantile(bounds, cumulative, q)
        if (sum === 0) return expect(value).toBeUndefined()
        const index = cumulative.findIndex((count) => count >= q * sum)
        const upper = bounds[index]!
        const lower = index === 0 ? 0 : bounds[index - 1]!
        expect(value).toBeGreaterThanOrEqual(lower)
        expect(value).toBeLessThanOrEqual(upper === Infinity ? lower : upper)
        const higher = quantile(bounds, cumulative, Math.min(1, q * 1.2))!
        expect(value).toBeLessThanOrEqual(higher + 1e-12)
      }),
    )
  })

  test('are linear within the bucket, as those of Prometheus', () => {
    expect(quantile([0.001, 0.01, Infinity], [50, 100, 100], 0.75)).toBeCloseTo(0.0055)
    expect(quantile([0.001, Infinity], [0, 10], 0.5)).toBe(0.001)
    expect(quantile([], [], 0.5)).toBeUndefined()
  })
})

describe('replicas over HTTP', () => {
  test('each is read; one that hangs, drips, floods, redirects or errs is named and holds nobody up', async () => {
    const counts = telemetry()
    counts.operation('on', 'get', 'hit', 1, 1)
    let flooded = 0
    const urls = await Promise.all([
      serve((_, response) => response.end(counts.prometheus())),
      serve(() => {}),
      serve((_, response) => {
        response.write('switchback_x 1\n')
        const timer = setInterval(() => response.write('#'), 20)
        response.on('close', () => clearInterval(timer))
      }),
      serve((_, response) => {
        const line = `${'# '.padEnd(1000, 'x')}\n`.repeat(1000)
        const more = (): void => {
          while (flooded < 50e6 && response.writable) {
            flooded += line.length
            if (!response.write(line)) return void response.once('drain', more)
          }
          response.end()
        }
        more()
      }),
      serve((_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()),
      serve((_, response) => response.writeHead(500).end('no')),
      serve((_, response) => response.end('<html>')),
    ])
    const source = replicaSource({
      urls: [...urls, 'http://127.0.0.1:1/metrics'],
      timeoutMs: 3000,
      maxBytes: 2 ** 20,
    })
    const { readings, failures } = await source.poll()
    expect(readings.map(({ replica }) => replica)).toEqual([new URL(urls[0]!).host])
    const why = failures.map(({ message }) => message)
    expect(why).toHaveLength(7)
    expect(why[0]).toBe('does not answer within 3 s')
    expect(why[1]).toBe('does not answer within 3 s')
    expect(why[2]).toMatch('sends more than 1 MiB')
    expect(flooded).toBeLessThan(40e6)
    expect(why[4]).toBe('answers 500 instead of 200')
    expect(why[5]).toContain('metrics line 1')
    expect(why[6]).toBe('refuses the connection')
  })

  test('sends the credentials of the address, and tells nobody', async () => {
    let asked: string | undefined
    const url = new URL(
      await serve((request, response) => {
        asked = request.headers.authorization
        response.writeHead(401).end()
      }),
    )
    url.username = 'shop'
    url.password = 'a:b@c'
    const { failures } = await replicaSource({ urls: [url.href] }).poll()
    expect(Buffer.from(asked?.split(' ')[1] ?? '', 'base64').toString()).toBe('shop:a:b@c')
    expect(failures).toEqual([{ replica: url.host, message: 'answers 401 instead of 200' }])
  })

  test('a poll that is no longer wanted ends at once, and leaves nothing on the signal', async () => {
    const asked = deferred<void>()
    const url = await serve(() => asked.resolve())
    const stop = new AbortController()
    const poll = replicaSource({ urls: [url], timeoutMs: 60_000 }).poll(stop.signal)
    await asked.promise
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(1)
    stop.abort(new Error('the guard stops'))
    const { failures } = await poll
    expect(failures[0]?.message).toBe('cannot be reached (the guard stops)')
    expect(getEventListeners(stop.signal, 'abort')).toHaveLength(0)
  })

  test('a name with several addresses is a replica at each of them, as they come and go', async () => {
    const counts = telemetry()
    const url = new URL(await serve((_, response) => response.end(counts.prometheus())))
    const port = url.port
    let addresses = ['127.0.0.1', '127.0.0.2']
    let clock = 0
    const source = replicaSource({
      urls: [`http://pods.internal:${port}/metrics`],
      resolve: async () => addresses,
      now: () => clock,
    })
    const replicas = async (): Promise<readonly string[]> => {
      clock += 10_000
      const { readings, failures } = await source.poll()
      return [...readings, ...failures].map(({ replica }) => replica)
    }
    expect(source.named).toEqual([`pods.internal:${port}`])
    expect(await replicas()).toEqual([`127.0.0.1:${port}`, `127.0.0.2:${port}`])
    // Pods come and go: none of them is expected by name.
    expect(source.named).toEqual([])
    addresses = ['127.0.0.2', '127.0.0.3']
    expect((await replicas()).toSorted()).toEqual([`127.0.0.2:${port}`, `127.0.0.3:${port}`])
  })

  test('refuses addresses that are not http', () => {
    for (const url of ['file:///etc/passwd', 'localhost', '']) {
      expect(() => replicaSource({ urls: [url] })).toThrow(
        expect.objectContaining({ code: 'SB_METRICS_URL_INVALID' }),
      )
    }
  })
})

describe('a Prometheus server', () => {
  /** Answers as the HTTP API does, from the text of some replicas scraped at a time. */
  function prometheus(
    replicas: Readonly<Record<string, { text: string; at: number }>>,
    configuration = '',
  ): RequestListener {
    return (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://x')
      if (pathname === '/prefix/api/v1/status/config') {
        response.end(JSON.stringify({ status: 'success', data: { yaml: configuration } }))
        return
      }
      const query = searchParams.get('query') ?? ''
      const result = Object.entries(replicas).flatMap(([instance, { text, at }]) =>
        query.startsWith('timestamp(')
          ? [{ metric: { instance }, value: [Date.now() / 1000, String(at)] }]
          : parse(text).map(({ name, labels, value }) => ({
              metric: { ...labels, __name__: name, instance, job: 'shop' },
              value: [Date.now() / 1000, value === Infinity ? '+Inf' : String(value)],
            })),
      )
      const body = { status: 'success', data: { resultType: 'vector', result } }
      response.statusCode = pathname === '/prefix/api/v1/query' ? 200 : 404
      response.end(JSON.stringify(body))
    }
  }

  test('gives the same readings as the replicas themselves, at the time they were scraped', async () => {
    const counts = telemetry()
    counts.operation('on', 'get', 'failed', 30, 5)
    const text = counts.prometheus()
    const url = await serve(prometheus({ 'a:1': { text, at: 100 }, 'b:1': { text, at: 90 } }))
    const base = url.replace('/metrics', '/prefix/')
    const { readings, failures } = await prometheusSource({
      url: base,
      matchers: 'job="shop"',
    }).poll()
    expect(failures).toEqual([])
    expect(readings.map(({ replica, at }) => [replica, at])).toEqual([
      ['a:1', 100],
      ['b:1', 90],
    ])
    expect(readings[0]?.arms.on).toEqual(readingOf('a:1', 100, parse(text), []).arms.on)
  })

  describe('that lacks what the rule needs says which, and by what it was dropped', () => {
    const rules = (rule: string): string =>
      `scrape_configs: [{ job_name: other }, { job_name: shop, metric_relabel_configs: [{ source_labels: [__name__], regex: 'go_.*', action: drop }, ${rule}] }]`
    const drop = "{ source_labels: [__name__], regex: 'switchback_user_.*', action: drop }"
    test.each([
      ['nothing is dropped', '', (text: string) => text, []],
      [
        'the series by user, with a rule that can be found',
        rules(drop),
        (text: string) => text.replaceAll(/^switchback_user_.*\n/gm, ''),
        [
          /^a:1: .* no switchback_user_windows_total: metric_relabel_configs\[1\] of the job "shop" drops it \(regex switchback_user_\.\*\)$/,
          /no switchback_user_operations_total: metric_relabel/,
          /no switchback_user_bad_operations_total: metric_relabel/,
        ],
      ],
      [
        'the same by a rule that keeps others',
        rules("{ source_labels: [__name__], regex: 'switchback_[^u].*', action: keep }"),
        (text: string) => text.replaceAll(/^switchback_users_total.*\n/gm, ''),
        [/no switchback_users_total: metric_relabel_configs\[1\]/],
      ],
      [
        'a label',
        rules("{ regex: 'over|side', action: labeldrop }"),
        (text: string) => text.replaceAll(/(?<=_slow_.*)over="[^"]*",?/g, ''),
        [/no label over of switchback_user_slow_operations_total: metric_relabel_configs\[1\]/],
      ],
      [
        'a series, and the server does not give its configuration',
        'not: [yaml',
        (text: string) => text.replaceAll(/^switchback_instance_info.*\n/gm, ''),
        [/no switchback_instance_info: look for a metric_relabel_configs/],
      ],
    ])('%s', async (_, configuration, change, expected) => {
      const counts = telemetry()
      counts.operation('on', 'get', 'failed', 30, 5)
      counts.operation('on', 'get', 'hit', 30, 5)
      const text = change(counts.prometheus())
      const url = await serve(prometheus({ 'a:1': { text, at: 100 } }, configuration))
      const source = prometheusSource({ url: url.replace('/metrics', '/prefix/') })
      for (let poll = 0; poll < 2; poll++) {
        const { missing = [] } = await source.poll()
        expect(missing).toHaveLength(expected.length)
        for (const [i, pattern] of expected.entries()) expect(missing[i]).toMatch(pattern)
      }
    })

    test('all of them, or one of the plan’s own', async () => {
      const url = (await serve(prometheus({}))).replace('/metrics', '/prefix/')
      const { missing } = await prometheusSource({ url, matchers: 'job="shop"' }).poll()
      expect(missing).toEqual([
        expect.stringMatching(
          /has no series of Switchback with job="shop"; does it scrape the app/,
        ),
      ])
      const text = telemetry().prometheus()
      const other = await serve(prometheus({ 'a:1': { text, at: 1 }, 'b:1': { text, at: 1 } }))
      const needed = [parseSelector('checkout_total{kind="card"}')]
      const base = other.replace('/metrics', '/prefix/')
      const poll = await prometheusSource({ url: base, selectors: needed, needed }).poll()
      expect(poll.missing).toEqual([expect.stringMatching(/no checkout_total: /)])
    })
  })

  test.each([
    ['not JSON', '<html>'],
    ['an error', '{"status":"error","error":"bad query"}'],
    ['wrong types', '{"status":"success","data":{"resultType":"vector","result":[{"metric":1}]}}'],
    [
      'a number',
      '{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,2]}]}}',
    ],
    ['null', 'null'],
  ])('that answers with %s is a failure, not a crash', async (_, body) => {
    const url = await serve((_request, response) => response.end(body))
    const { readings, failures } = await prometheusSource({ url: new URL(url).origin }).poll()
    expect(readings).toEqual([])
    expect(failures).toHaveLength(1)
  })
})
