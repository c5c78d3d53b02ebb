import { FlagdProvider } from '@openfeature/flagd-provider'
import { OpenFeature, ProviderEvents } from '@openfeature/server-sdk'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import {
  changeStream,
  disableReconnect,
  disableReports,
  insteadOfEvaluator,
} from '../../src/flags/flagd/flagd-internals.ts'
import { flagsFromEnvironment } from '../../src/flags/index.ts'
import type { Decider, FlagsEvent } from '../../src/flags/index.ts'
import { startSidecar } from '../../src/sidecar/index.ts'
import { FlagsFile, useRedis } from '../support/flags-files.ts'
import { until } from '../support/flags-providers.ts'
import { SyncServer } from '../support/flags-sync-server.ts'

let open: { close(): Promise<unknown> }[] = []
let domains = 0
const events: FlagsEvent[] = []

afterEach(async () => {
  vi.restoreAllMocks()
  for (const each of open.toReversed()) await each.close()
  open = []
  events.length = 0
})
afterAll(() => OpenFeature.clearProviders())

async function inProcessAt(
  port: number,
  startMs?: number,
  more: Record<string, string> = {},
): Promise<Decider> {
  const source = await flagsFromEnvironment(
    { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: `${port}`, FLAGD_RESOLVER: 'in-process', ...more },
    {
      domain: `supervised-${++domains}`,
      onEvent: (event) => events.push(event),
      ...(startMs === undefined ? {} : { startMs }),
    },
  )
  const decider = source.createDecider({ flag: 'use-redis' })
  open.push(source, decider)
  return decider
}

async function syncServer(content?: object): Promise<[SyncServer, number]> {
  const [server, port] = await SyncServer.start(content)
  open.push({ close: () => server[Symbol.asyncDispose]() })
  return [server, port]
}

const user = { targetingKey: 'u' }
const side = async (decider: Decider): Promise<string> => (await decider.decide(user)).side

describe('a sync server', () => {
  it('that ends the stream in order is connected to again', async () => {
    const [server, port] = await syncServer(useRedis(0))
    const decider = await inProcessAt(port)
    expect(await side(decider)).toBe('off')
    server.content = JSON.stringify(useRedis(100))
    server.endStreams()
    await until(async () => (await side(decider)) === 'on')
    await until(() => decider.health().ok)
    server.send(useRedis(0))
    await until(async () => (await side(decider)) === 'off')
  })

  it('that stays away is an ERROR after the grace period, and its users keep their sides', async () => {
    const [server, port] = await syncServer(useRedis(100))
    const decider = await inProcessAt(port, 2_000, { FLAGD_RETRY_GRACE_PERIOD: '0' })
    expect(await side(decider)).toBe('on')
    await server[Symbol.asyncDispose]()
    await until(() => decider.health().status === 'STALE')
    await until(() => decider.health().status === 'ERROR')
    expect(await side(decider)).toBe('on')
    expect(await decider.decide({ targetingKey: 'new' })).toMatchObject({ side: 'on' })
  })

  it('that answers with a code declared fatal is not asked again', async () => {
    const [, port] = await syncServer(useRedis(100))
    // A sync server does not know of evaluations.
    const decider = await inProcessAt(port, 2_000, {
      FLAGD_RESOLVER: 'rpc',
      FLAGD_FATAL_STATUS_CODES: 'UNIMPLEMENTED, PERMISSION_DENIED',
    })
    expect(decider.health()).toMatchObject({ ok: false, status: 'FATAL' })
    expect(await side(decider)).toBe('off')
  })

  it.each([['{}'], ['[]'], ['{"flags":{"use-redis":{"state":1}}}'], ['{"flags":']])(
    'that sends %s changes nothing',
    async (content) => {
      const [server, port] = await syncServer(useRedis(100))
      const decider = await inProcessAt(port)
      expect(await side(decider)).toBe('on')
      server.send(content)
      await until(() => events.some(({ message }) => message.includes('the last good flags stay')))
      expect(await side(decider)).toBe('on')
      server.send(useRedis(0))
      await until(async () => (await side(decider)) === 'off')
    },
  )

  it('that allows fewer pings is pinged less often, without a flap of health', async () => {
    const [server, port] = await syncServer(useRedis(100))
    const decider = await inProcessAt(port, 2_000, { FLAGD_KEEP_ALIVE_TIME_MS: '10000' })
    expect(await side(decider)).toBe('on')
    const statuses = new Set<string>()
    const client = OpenFeature.getClient(`supervised-${domains}`)
    for (const event of [ProviderEvents.Stale, ProviderEvents.Error]) {
      client.addHandler(event, () => statuses.add(client.providerStatus ?? ''))
    }
    let back = 0
    client.addHandler(ProviderEvents.Ready, () => back++)
    await until(() => back === 1)
    const { since } = decider.health()
    for (const every of [20, 40, 81]) {
      const before = back
      server.calm()
      await until(() => back > before)
      expect(events.at(-1)).toEqual({
        level: 'info',
        message: `flagd in-process at 127.0.0.1:${port}: the server allows fewer pings; sending one every ${every} s from now on`,
      })
    }
    server.send(useRedis(0))
    await until(async () => (await side(decider)) === 'off')
    expect([...statuses]).toEqual([])
    expect(decider.health()).toMatchObject({ ok: true, since })
    expect(events.filter(({ level }) => level === 'warn')).toEqual([])
  })

  it('that ends what held for long, and is there, was never gone', async () => {
    const [server, port] = await syncServer(useRedis(100))
    const decider = await inProcessAt(port)
    expect(await side(decider)).toBe('on')
    const { since } = decider.health()
    const now = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => now() + 6_000)
    server.content = JSON.stringify(useRedis(0))
    server.endStreams()
    await until(async () => (await side(decider)) === 'off')
    expect(decider.health()).toMatchObject({ ok: true, since })
    expect(events.filter(({ level }) => level === 'warn')).toEqual([])
  })

  it('that never sends does not hold up the start, and is followed when it does', async () => {
    const [server, port] = await syncServer()
    const decider = await inProcessAt(port, 300)
    expect(await decider.decide(user)).toMatchObject({ side: 'off' })
    expect(decider.health().ok).toBe(false)
    expect(events[0]).toMatchObject({ level: 'warn' })
    server.content = JSON.stringify(useRedis(100))
    server.send(useRedis(100))
    await until(async () => (await side(decider)) === 'on')
    await until(() => decider.health().ok)
  })
})

describe('what is used of the provider beyond its interface', () => {
  it.each(['rpc', 'in-process'] as const)('is still there in %s', async (resolverType) => {
    const file = new FlagsFile()
    file.write(useRedis(50))
    const sidecar = await startSidecar({
      file: file.path,
      ports: { evaluation: 0, management: 0, sync: 0, ofrep: 0 },
    })
    const port = resolverType === 'rpc' ? sidecar.ports.evaluation : sidecar.ports.sync
    const provider = new FlagdProvider({ host: '127.0.0.1', port, resolverType })
    const texts: string[] = []
    const intercepted = insteadOfEvaluator(provider, (text) => {
      texts.push(text)
      return []
    })
    expect(intercepted).toBe(resolverType === 'in-process')
    await provider.initialize()
    expect(texts.length > 0).toBe(resolverType === 'in-process')
    expect(changeStream(provider)?.readable).toBe(true)
    expect(disableReconnect(provider)).toBe(true)
    expect(disableReports(provider)).toBe(true)
    await provider.onClose()
    await sidecar.close()
    file[Symbol.dispose]()
  })
})

describe('a process', () => {
  const program = `
    const { flagsFromEnvironment } = await import(process.argv[1])
    const source = await flagsFromEnvironment(process.env)
    const decider = source.createDecider({ flag: 'use-redis' })
    let decision = await decider.decide({ targetingKey: 'u' })
    // Before the first flags have come, an answer may be that there are none.
    while (process.env.WAIT && decision.side === 'off') {
      await new Promise((resolve) => setTimeout(resolve, 10))
      decision = await decider.decide({ targetingKey: 'u' })
    }
    console.log(decision.side)
    if (process.env.WAIT) await new Promise((resolve) => {
      const timer = setInterval(() => {
        if (decider.health().ok) return
        clearInterval(timer)
        resolve()
      }, 10)
    })
    await decider.close()
    await source.close()
    console.log('closed')
  `
  const module = new URL('../../dist/index.mjs', import.meta.url).href

  it.each(['rpc', 'in-process'])('ends by itself after close, flagd gone, %s', async (mode) => {
    const file = new FlagsFile()
    file.write(useRedis(100))
    const sidecar = await startSidecar({
      file: file.path,
      ports: { evaluation: 0, management: 0, sync: 0, ofrep: 0 },
    })
    const port = mode === 'rpc' ? sidecar.ports.evaluation : sidecar.ports.sync
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, module], {
      env: {
        FLAGD_HOST: '127.0.0.1',
        FLAGD_PORT: `${port}`,
        FLAGD_RESOLVER: mode,
        WAIT: 'until flagd is gone',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exit = once(child, 'exit')
    try {
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
      expect((await lines.next()).value).toBe('on')
      await sidecar.close(0)
      expect((await lines.next()).value).toBe('closed')
      // Nothing of it keeps the process alive: it ends without a signal, or this waits for ever.
      expect(await exit).toEqual([0, null])
    } finally {
      child.kill('SIGKILL')
      file[Symbol.dispose]()
    }
  })

  it('starts without a flagd, and ends', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, module], {
      env: { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: '9' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exit = once(child, 'exit')
    const output: string[] = []
    for await (const line of createInterface(child.stdout)) output.push(line)
    expect(output).toEqual(['off', 'closed'])
    expect(await exit).toEqual([0, null])
  })
})
