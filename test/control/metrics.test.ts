import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { readExposition } from '../../src/control/metrics/scrape.ts'
import { armReading, Fleet } from '../../src/control/metrics/index.ts'
import { Replica } from '../../src/control/metrics/replica.ts'
import { FIELDS, indexOf } from '../../src/control/metrics/vector.ts'
import { LATENCY_BOUNDS } from '../../src/metrics.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { startControlApp } from '../support/control-app.ts'
import { until } from '../support/control-room.ts'
import { anyText } from '../support/any-text.ts'

const servers: { close(): unknown; closeAllConnections?(): void }[] = []
const fleets: { close(): void }[] = []

afterEach(() => {
  for (const fleet of fleets.splice(0)) fleet.close()
  for (const server of servers.splice(0)) {
    server.closeAllConnections?.()
    server.close()
  }
})

async function listen(server: Server): Promise<string> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
}

function serve(handler: RequestListener): Promise<string> {
  return listen(createServer(handler))
}

function fleetOf(urls: readonly string[], options = {}): Fleet {
  const fleet = new Fleet(urls, { intervalMs: 100, timeoutMs: 700, ...options })
  fleets.push(fleet)
  return fleet
}

function operations(side: string, outcome: string, count: number): string {
  return `switchback_operations_total{side="${side}",operation="get",outcome="${outcome}"} ${count}\n`
}

describe('reading Prometheus text', () => {
  test('everything that telemetry exports arrives, by its own names and bounds', () => {
    const telemetry = createTelemetry({ meter: false })
    telemetry.gauge('switchback_owed_invalidations', 'Owed.', { side: 'on' }, () => 3)
    const bucket = telemetry.bucketOf('user_1')
    for (let i = 0; i < 7; i++) telemetry.operation('on', 'get', 'hit', 0.3, bucket)
    telemetry.operation('on', 'get', 'miss', 3, bucket)
    telemetry.operation('on', 'delete', 'miss', 3, bucket)
    telemetry.operation('on', 'set', 'failed', 3, bucket)
    telemetry.operation('on', 'getOrSet', 'timed_out', 9000, bucket)
    telemetry.operation('on', 'getOrSet', 'fell_back', 1, bucket)
    telemetry.event('on', 'breaker_opened')
    telemetry.event('on', 'repeat_miss', bucket)
    telemetry.originLoad('on', 25, true)
    telemetry.originLoad('on', 25, false)
    const { arms, owed, instance, eventLoopDelay } = readExposition(telemetry.prometheus())
    telemetry.close()
    const read = Object.fromEntries(FIELDS.map((field) => [field, arms.on[indexOf(field)]]))
    expect(read).toEqual({
      operations: 12,
      failed: 1,
      timedOut: 1,
      fellBack: 1,
      hits: 7,
      misses: 1,
      originLoads: 2,
      originFailures: 1,
      repeatMisses: 1,
      lost: 3,
      backfills: 0,
      breakerOpened: 1,
      breakerClosed: 0,
    })
    expect(arms.on.at(-1)).toBe(12)
    expect(arms.on[FIELDS.length + LATENCY_BOUNDS.indexOf(0.000_5)]).toBe(7)
    expect(arms.on[FIELDS.length + LATENCY_BOUNDS.indexOf(5)]).toBe(11)
    expect(owed).toEqual({ on: 3, off: undefined })
    expect(instance).not.toBe('')
    expect(eventLoopDelay).toBeTypeOf('number')
    expect(arms.off.every((value) => value === 0)).toBe(true)
  })

  test('any text: an answer or a refusal of ours, finite numbers, no more of them', () => {
    const line = fc.oneof(
      fc.string(),
      anyText(),
      fc.constantFrom(
        'switchback_operations_total{side="on",outcome="hit"} 1',
        'switchback_operations_total{side="on"',
        'switchback_operations_total{side="on"} -1',
        'switchback_operations_total{side="on"} NaN',
        'switchback_operations_total{side="__proto__"} 1',
        'switchback_operations_total{__proto__="on"} 1',
        'switchback_operation_duration_seconds_bucket{side="on",le="x"} 4',
        'switchback_operation_duration_seconds_bucket{side="off",le="+Inf"} +Inf',
      ),
    )
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        try {
          const { arms } = readExposition(lines.join('\n'))
          for (const side of ['on', 'off'] as const) {
            expect(arms[side]).toHaveLength(FIELDS.length + LATENCY_BOUNDS.length)
            expect(arms[side].findIndex((value) => !(value >= 0 && value < Infinity))).toBe(-1)
          }
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^SB_METRICS_/)
        }
      }),
    )
  })

  test('shares of nothing are unknown, not zero', () => {
    const { bad, hitRate, p99, operations } = armReading(new Float64Array(64))
    expect([bad, hitRate, p99, operations]).toEqual([null, null, null, 0])
  })
})

describe('replicas', () => {
  test('a process that restarts counts from zero; no negative rates, no leap', async () => {
    let count = 1_000_000
    let instance = 'a'
    const url = await serve((_request, response) => {
      count += 10
      const info = `switchback_instance_info{instance_id="${instance}"} 1\n`
      response.end(info + operations('on', 'hit', count) + operations('off', 'hit', count))
    })
    const fleet = fleetOf([url])
    await until('a rate', () => fleet.read().arms !== undefined)
    const before = fleet.read().arms!.on.operations
    expect(before).toBeLessThan(1000)
    instance = 'b'
    count = 0
    const rates: number[] = []
    await until('some scrapes of the new process', () => {
      rates.push(fleet.read().arms?.on.operations ?? 0)
      return count > 60
    })
    for (const rate of rates) {
      expect(rate).toBeGreaterThanOrEqual(0)
      expect(rate).toBeLessThan(1000)
    }
  })

  test.each([
    ['another instance', 'b'],
    ['a counter of the other side fell', 'a'],
  ])('a switch counts from zero on both sides after a restart: %s', async (_why, next) => {
    let now = { instance: 'a', off: 100, on: 3 }
    let asked = 0
    const url = await serve((_request, response) => {
      asked++
      const line = (side: 'off' | 'on'): string =>
        `switchback_operations_total{switch="search",method="find",side="${side}",outcome="ok"} ${now[side]}\n`
      const info = `switchback_instance_info{instance_id="${now.instance}"} 1\n`
      response.end(info + operations('off', 'hit', 1) + line('off') + line('on'))
    })
    const replica = new Replica({ url, intervalMs: 50 })
    fleets.push(replica)
    await until('the first scrape', () => replica.live)
    now = { instance: next, off: 1, on: 50 }
    const before = asked
    await until('scrapes of the new process', () => asked > before + 2)
    const { off, on } = replica.switches()!.switches.get('search')!.methods.get('find')!
    expect([off[0], on[0]]).toEqual([1, 50])
  })

  test('hostile ones are named and bounded; the healthy one beside them is read all the same', async () => {
    await using app = await startControlApp()
    const chunk = Buffer.alloc(65_536, 'node_cpu_seconds_total{cpu="0"} 1\n')
    let most = 0
    const fiftyMegabytes = await serve((_request, response) => {
      let sent = 0
      const write = (): void => {
        while (sent < 50e6 && !response.destroyed) {
          most = Math.max(most, (sent += chunk.length))
          if (!response.write(chunk)) return void response.once('drain', write)
        }
        response.end()
      }
      write()
    })
    const hangs = await serve(() => {})
    const drips = await serve((_request, response) => {
      const timer = setInterval(() => response.write('#'), 50)
      response.once('close', () => clearInterval(timer))
    })
    const cut = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('switchback_')
      setTimeout(() => response.destroy(), 20)
    })
    const redirects = await serve((_request, response) => {
      response.writeHead(302, { location: app.url }).end()
    })
    const page = await serve((_request, response) => void response.end('<!doctype html><p>hello'))
    const other = await serve(
      (_request, response) => void response.end('node_cpu_seconds_total 1\n'),
    )
    const broken = await serve((_request, response) => {
      response.end(operations('on', 'hit', -5) + operations('off', 'failed', NaN))
    })
    const tcp = createTcpServer((socket) => void socket.on('error', () => {}).end('SSH-2.0-x\r\n'))
    servers.push(tcp)
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve))
    const ssh = `http://127.0.0.1:${(tcp.address() as AddressInfo).port}/metrics`

    const urls = [fiftyMegabytes, hangs, drips, cut, redirects, page, other, broken, ssh]
    const fleet = fleetOf([app.url, ...urls], { maxBytes: 1_048_576, timeoutMs: 5000 })
    await until('all were tried', () =>
      fleet.read().replicas.every(({ error, live }) => live || error !== 'not scraped yet'),
    )
    await until('the healthy one is read', () => (fleet.read().arms?.off.operations ?? 0) > 50)
    // On a busy machine its first 1 MiB may come too late.
    await until('the flood is named', () =>
      String(fleet.read().replicas[1]?.error).includes('sends more than 1 MiB'),
    )
    const { replicas, arms } = fleet.read()
    expect(replicas[0]).toMatchObject({ live: true, error: '' })
    expect(replicas.slice(1).map(({ live }) => live)).toEqual(urls.map(() => false))
    const errors = replicas.slice(1).map(({ error }) => error)
    expect(errors[0]).toContain('sends more than 1 MiB')
    expect(errors[1]).toContain('does not answer within 5 s')
    expect(errors[2]).toContain('does not answer within 5 s')
    expect(errors[4]).toContain('answers 302')
    expect(errors[5]).toContain('metrics line 1')
    expect(errors[6]).toContain('no metrics of Switchback')
    expect(errors[7]).toContain('no metrics of Switchback')
    for (const error of errors) expect(error).not.toBe('')
    expect(arms!.off.operations).toBeGreaterThan(50)
    expect(most).toBeLessThan(20e6)
  })

  test('one that goes away no longer counts, and counts again when it is back', async () => {
    let up = true
    let count = 0
    const url = await serve((_request, response) => {
      count += 5
      if (up) response.end(operations('on', 'hit', count))
      else response.writeHead(503).end()
    })
    const fleet = fleetOf([url], { staleMs: 800 })
    await until('a rate', () => fleet.read().arms !== undefined)
    up = false
    await until('it is missed', () => fleet.read().arms === undefined)
    expect(fleet.read().replicas[0]).toMatchObject({
      live: false,
      error: 'answers 503 instead of 200',
    })
    up = true
    await until('it is back', () => fleet.read().arms !== undefined)
  })

  test('an open breaker is an opening that was not followed by a closing', async () => {
    await using app = await startControlApp()
    const fleet = fleetOf([app.url])
    await until('scraped', () => fleet.read().replicas[0]!.live)
    expect(fleet.read().breakersOpen).toEqual({ on: 0, off: 0 })
    app.telemetry.event('on', 'breaker_opened')
    await until('it is open', () => fleet.read().breakersOpen.on === 1)
    app.telemetry.event('on', 'breaker_closed')
    await until('it is closed', () => fleet.read().breakersOpen.on === 0)
  })

  test('addresses: secrets are not shown, nonsense is refused', () => {
    const fleet = fleetOf(['http://user:secret@127.0.0.1:9/metrics?token=secret'])
    expect(fleet.read().replicas[0]?.url).toBe('http://127.0.0.1:9/metrics')
    for (const url of ['', 'metrics', 'file:///etc/passwd', 'ftp://x/']) {
      expect(() => new Fleet([url])).toThrow(
        expect.objectContaining({ code: 'SB_METRICS_URL_INVALID' }),
      )
    }
  })
})
