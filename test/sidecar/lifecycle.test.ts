import { FlagdProvider } from '@openfeature/flagd-provider'
import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk'
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { afterAll, describe, expect, test } from 'vitest'
import { isSwitchbackError } from '../../src/errors.ts'
import { startSidecar } from '../../src/sidecar/index.ts'
import type { Sidecar } from '../../src/sidecar/index.ts'
import { asker } from '../support/flagd-askers.ts'
import { FREE, flagsFixture, until } from '../support/flagd-server.ts'
import type { FlagServer } from '../support/flagd-server.ts'
import { eventStream, syncStream } from '../support/flagd-streams.ts'
import { startSidecarProcess } from '../support/sidecar-process.ts'

const config = (defaultVariant: 'on' | 'off'): object => ({
  flags: { f: { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant } },
})
const target = ({ ports }: Pick<Sidecar, 'ports'>): FlagServer => ({
  host: '127.0.0.1',
  ports,
  [Symbol.asyncDispose]: () => Promise.resolve(),
})

afterAll(() => OpenFeature.close())

describe('close', () => {
  test('ends streams as unavailable, frees the ports, and may be called twice', async () => {
    using fixture = flagsFixture(config('on'))
    const sidecar = await startSidecar({ file: fixture.file, ports: FREE })
    using events = eventStream('v1', target(sidecar))
    using sync = syncStream(target(sidecar))
    await events.next(0)
    await sync.next(0)
    await Promise.all([sidecar.close(), sidecar.close()])
    await until('both streams ended', () => events.ended !== undefined && sync.ended !== undefined)
    expect([events.ended, sync.ended]).toEqual([14, 14])
    await using again = await startSidecar({ file: fixture.file, ports: sidecar.ports })
    expect(again.ports).toEqual(sidecar.ports)
  })

  test('cuts a reader who does not read, and connections that say nothing, at the deadline', async () => {
    using fixture = flagsFixture({ ...config('on'), metadata: { text: 'x'.repeat(2_000_000) } })
    const sidecar = await startSidecar({ file: fixture.file, ports: FREE })
    // Raw HTTP/2: without a listener nothing is read.
    const session = connectHttp2(`http://127.0.0.1:${sidecar.ports.sync}`).on('error', () => {})
    const path = '/flagd.sync.v1.FlagSyncService/SyncFlags'
    const headers = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }
    const stream = session.request({ ...headers, ':path': path }).on('error', () => {})
    stream.end(Buffer.from([0, 0, 0, 0, 0]))
    const silent = Object.values(sidecar.ports).map((port: number) =>
      connect(port, '127.0.0.1').on('error', () => {}),
    )
    const metrics = `http://127.0.0.1:${sidecar.ports.management}/metrics`
    await until('the stream stands', async () => {
      return (await (await fetch(metrics)).text()).includes('sidecar_streams 1')
    })
    await sidecar.close(100)
    session.destroy()
    for (const socket of silent) socket.destroy()
  })

  test('a port that is taken: SB_SIDECAR_LISTEN, and nothing stays open', async () => {
    using fixture = flagsFixture(config('on'))
    await using first = await startSidecar({ file: fixture.file, ports: FREE })
    const ports = { ...FREE, ofrep: first.ports.ofrep }
    const error = await startSidecar({ file: fixture.file, ports }).catch((e: unknown) => e)
    expect(isSwitchbackError(error) && error.code).toBe('SB_SIDECAR_LISTEN')
    expect(String(error)).toContain(`127.0.0.1:${first.ports.ofrep}`)
  })

  test('listens on loopback only', async () => {
    using fixture = flagsFixture(config('on'))
    await using sidecar = await startSidecar({ file: fixture.file, ports: FREE })
    const refused = new Promise<string>((resolve) => {
      const socket = connect(sidecar.ports.ofrep, '127.0.0.2')
      socket.on('connect', () => resolve('connected')).on('error', () => resolve('refused'))
      socket.on('connect', () => socket.destroy())
    })
    expect(await refused).toBe('refused')
  })

  test('keep-alives come at their interval', async () => {
    using fixture = flagsFixture(config('on'))
    await using sidecar = await startSidecar({ file: fixture.file, ports: FREE, keepAlive: 20 })
    using events = eventStream('v2', target(sidecar))
    await events.next(1, ({ type }) => type === 'keep_alive')
    await events.next(3, ({ type }) => type === 'keep_alive')
  })
})

describe('as a process', () => {
  test('SIGTERM ends it with 0, streams or not', async () => {
    using fixture = flagsFixture(config('on'))
    await using sidecar = await startSidecarProcess({ file: fixture.file })
    using events = eventStream('v2', target(sidecar))
    await events.next(0)
    expect(await sidecar.stop()).toBe(0)
    await until('the stream ended', () => events.ended === 14)
  })

  test('killed and started again on its ports: the provider finds it, with the new flags', async () => {
    using fixture = flagsFixture(config('off'))
    await using sidecar = await startSidecarProcess({ file: fixture.file })
    const timing = { retryBackoffMs: 1_000, retryBackoffMaxMs: 1_000, cache: 'disabled' } as const
    const domain = randomUUID()
    const port = sidecar.ports.evaluation
    const provider = new FlagdProvider({ host: '127.0.0.1', port, ...timing }, silent)
    const seen: string[] = []
    provider.events.addHandler(ProviderEvents.Stale, () => void seen.push('stale'))
    provider.events.addHandler(ProviderEvents.Ready, () => void seen.push('ready'))
    await OpenFeature.setProviderAndWait(domain, provider)
    const client = OpenFeature.getClient(domain)
    expect(await client.getBooleanValue('f', true)).toBe(false)
    const before = sidecar.pid
    await sidecar.kill()
    expect(sidecar.alive).toBe(false)
    await until('the provider noticed', () => seen.includes('stale'))
    fixture.save(config('on'))
    await sidecar.restart()
    expect(sidecar.pid).not.toBe(before)
    expect(sidecar.ports.evaluation).toBe(port)
    await until('the provider is ready again', () => seen.at(-1) === 'ready')
    expect(await client.getBooleanValue('f', false)).toBe(true)
  }, 30_000)

  test('frozen it answers nothing, thawed it answers again', async () => {
    using fixture = flagsFixture(config('on'))
    await using sidecar = await startSidecarProcess({ file: fixture.file })
    const url = `http://127.0.0.1:${sidecar.ports.management}/readyz`
    sidecar.freeze()
    await expect(fetch(url, { signal: AbortSignal.timeout(300) })).rejects.toThrow(/timeout/)
    sidecar.thaw()
    expect((await fetch(url)).status).toBe(200)
    await using v2 = await asker('v2', target(sidecar))
    expect(await v2.ask('Boolean', 'f', {})).toMatchObject({ value: true })
  })

  test.each([
    [
      'a missing file',
      ['--file', '/no/such.json'],
      2,
      'The flags file "/no/such.json" does not exist',
    ],
    ['a port that is none', ['--ofrep-port', '70000'], 2, '--ofrep-port cannot be "70000"'],
    ['a port that is no number', ['--sync-port', 'http'], 2, '--sync-port cannot be "http"'],
  ])('%s: says so and ends', (_what, args, code, message) => {
    const run = spawnSync(process.execPath, ['dist/cli/bin.js', 'sidecar', ...args], {
      encoding: 'utf8',
      timeout: 15_000,
    })
    expect(run.status).toBe(code)
    expect(run.stderr).toContain(message)
    expect(run.stdout).toBe('')
  })
})

const silent = { error(): void {}, warn(): void {}, info(): void {}, debug(): void {} }
