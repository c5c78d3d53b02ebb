import { Client, credentials } from '@grpc/grpc-js'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { evaluationV1, evaluationV2, flagSync } from '../../src/sidecar/grpc/protocol.ts'
import { asker, call, grpcClient } from '../support/flagd-askers.ts'
import type { Asker, Said } from '../support/flagd-askers.ts'
import { flagsFixture, serverKinds, until } from '../support/flagd-server.ts'
import { eventStream, syncStream } from '../support/flagd-streams.ts'

/** `old` and `new` are static, so that an answer tells which content is in force. */
function config(defaultVariant: 'old' | 'new', extra: object = {}): object {
  const variants = { old: 'old', new: 'new' }
  return { flags: { which: { state: 'ENABLED', variants, defaultVariant }, ...extra } }
}

const which = (asking: Asker): Promise<Said> => asking.ask('String', 'which', {})
const bad = (flag: object): object => config('new', { another: flag })
const variants = { on: true, off: false }

const REFUSED: readonly (readonly [string, string | object])[] = [
  ['not JSON', '{"flags": {'],
  ['a byte order mark', `\uFEFF${JSON.stringify(config('new'))}`],
  ['empty', ''],
  ['{}', {}],
  ['[]', '[]'],
  ['null', 'null'],
  ['a flag without variants', bad({ state: 'ENABLED', defaultVariant: 'on' })],
  [
    'a bad defaultVariant in another flag',
    bad({ state: 'ENABLED', variants, defaultVariant: 'x' }),
  ],
]

const NOT_FOUND: readonly (readonly [string, object])[] = [
  ['no flags at all', { flags: {} }],
  [
    'a misspelt flag key',
    { flags: { wich: { state: 'ENABLED', variants, defaultVariant: 'on' } } },
  ],
]

const flag = { variants: { old: 'old', new: 'new' }, defaultVariant: 'new' }
const ACCEPTED: readonly (readonly [string, object])[] = [
  ['no state', { flags: { which: flag } }],
  ['a state in lower case', { flags: { which: { ...flag, state: 'enabled' } } }],
  ['an unknown field', { flags: { which: { ...flag, state: 'ENABLED', owner: 'x' } }, note: 1 }],
]

/** By hand: the client's own protobufjs lets messages nest a hundred deep. */
async function askDeep(port: number, version: 'v1' | 'v2', depth: number): Promise<object> {
  const field = (number: number, content: Buffer): Buffer =>
    Buffer.concat([Buffer.from([number * 8 + 2]), varint(content.length), content])
  let context: Buffer = Buffer.alloc(0)
  for (let level = 0; level < depth; level++) {
    context = field(1, Buffer.concat([field(1, Buffer.from('a')), field(2, field(5, context))]))
  }
  const { ResolveString } = version === 'v1' ? evaluationV1 : evaluationV2
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        `/flagd.evaluation.${version}.Service/ResolveString`,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => ResolveString?.responseDeserialize(bytes) as object,
        Buffer.concat([field(1, Buffer.from('which')), field(2, context)]),
        (error, answer) => (error ? reject(error) : resolve(answer as object)),
      )
    })
  } finally {
    client.close()
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80)
  return Buffer.from([...bytes, value])
}

describe.each(serverKinds())('$name', (kind) => {
  const served = (asking: Asker, value: string): Promise<void> =>
    until(`"${value}" is served`, async () => (await which(asking)).value === value)

  test('content that is refused keeps the old flags, and what comes next is served', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    await using asking = await asker('v2', server)
    for (const [what, content] of REFUSED) {
      fixture.save(content)
      await delay(kind.settled)
      expect((await which(asking)).value, what).toBe('old')
    }
    fixture.save(config('new'))
    await served(asking, 'new')
  }, 60_000)

  test.each(NOT_FOUND)(
    'content that is accepted, with %s: FLAG_NOT_FOUND',
    async (_what, content) => {
      using fixture = flagsFixture(config('old'))
      await using server = await kind.start(fixture.file)
      await using asking = await asker('v2', server)
      expect((await which(asking)).value).toBe('old')
      fixture.save(content)
      await until('the flag is gone', async () => {
        return (await which(asking)).error === 'FLAG_NOT_FOUND'
      })
    },
  )

  test.each(ACCEPTED)('content that is accepted, with %s', async (_what, content) => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    await using asking = await asker('v2', server)
    fixture.save(content)
    await served(asking, 'new')
  })

  test('broken from the start: ready, FLAG_NOT_FOUND, and served once it is mended', async () => {
    using fixture = flagsFixture('{"flags": {')
    await using server = await kind.start(fixture.file)
    await using asking = await asker('v2', server)
    expect(await which(asking)).toEqual({ error: 'FLAG_NOT_FOUND' })
    expect((await fetch(`http://127.0.0.1:${server.ports.management}/readyz`)).status).toBe(200)
    fixture.save(config('new'))
    await served(asking, 'new')
  })

  test('missing from the start: does not start', async () => {
    using fixture = flagsFixture(config('old'))
    rmSync(fixture.file)
    await expect(kind.start(fixture.file)).rejects.toThrow(/flags file .* does not exist|exited/)
  })

  test('a write in place that pauses half way', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    await using asking = await asker('v2', server)
    const text = JSON.stringify(config('new'))
    const handle = openSync(fixture.file, 'w')
    writeSync(handle, text.slice(0, 20))
    await delay(kind.settled)
    expect((await which(asking)).value).toBe('old')
    writeSync(handle, text.slice(20))
    closeSync(handle)
    await served(asking, 'new')
  })

  test('deleted and made again after half a second', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    await using asking = await asker('v2', server)
    rmSync(fixture.file)
    await delay(500)
    expect((await which(asking)).value).toBe('old')
    fixture.overwrite(config('new'))
    await served(asking, 'new')
  })

  // test/sidecar/watch.test.ts holds the sidecar to more than this.
  test.runIf(kind.name === 'flagd')('flagd ignores a file with an older mtime', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    await using asking = await asker('v2', server)
    fixture.save(config('new'), new Date('2020-01-01'))
    await delay(kind.settled)
    expect((await which(asking)).value).toBe('old')
  })

  test.each(['v1', 'v2'] as const)(
    '%s events: ready, then what changed and how',
    async (version) => {
      const kept = { state: 'ENABLED', variants, defaultVariant: 'on' }
      using fixture = flagsFixture(config('old', { kept, dropped: kept }))
      await using server = await kind.start(fixture.file)
      using events = eventStream(version, server)
      expect(await events.next(0)).toMatchObject({ type: 'provider_ready' })
      fixture.save(config('new', { kept, added: kept }))
      const change = await events.next(1, ({ type }) => type === 'configuration_change')
      expect(change.flags).toMatchObject({
        which: { type: 'update' },
        added: { type: 'write' },
        dropped: { type: 'delete' },
      })
      expect(change.flags).not.toHaveProperty('kept')
    },
  )

  test('the same content written again fires no event, and is sent on the sync stream', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    using events = eventStream('v2', server)
    using sync = syncStream(server)
    await events.next(0)
    await sync.next(0)
    fixture.save(config('old'))
    expect(await sync.next(1)).toMatchObject({ flags: { which: { defaultVariant: 'old' } } })
    const changes = events.messages.filter(({ flags }) => Object.keys(flags).length > 0)
    expect(changes).toEqual([])
    fixture.save(config('new'))
    await events.next(1, ({ type }) => type === 'configuration_change')
  })

  test('broken from the start: the sync port takes connections, and answers when it is mended', async () => {
    using fixture = flagsFixture('{"flags": {')
    await using server = await kind.start(fixture.file)
    using sync = syncStream(server)
    fixture.save(config('new'))
    // A first answer without flags would turn everybody off.
    expect(await sync.next(0)).toMatchObject({ flags: { which: { defaultVariant: 'new' } } })
  })

  test('a selector names a source, and another key of one is refused', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    const ask = async (selector: string): Promise<unknown> => {
      const url = `http://127.0.0.1:${server.ports.ofrep}/ofrep/v1/evaluate/flags/which`
      const headers = { 'flagd-selector': selector }
      const answer = await fetch(url, { method: 'POST', body: '{}', headers })
      return [answer.status, await answer.json()]
    }
    const value = { key: 'which', value: 'old', variant: 'old', reason: 'STATIC' }
    const metadata = { source: fixture.file }
    expect(await ask(fixture.file)).toEqual([200, { ...value, metadata }])
    expect(await ask(`source=${fixture.file}`)).toEqual([200, { ...value, metadata }])
    expect(await ask('flagSetId=x')).toMatchObject([404, { metadata: { flagSetId: 'x' } }])
    expect(await ask('set=x')).toMatchObject([400, { errorCode: 'GENERAL', metadata: null }])
  })

  test('a context of 990,000 bytes is taken, one over a million refused', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    for (const way of ['v1', 'v2', 'http', 'ofrep'] as const) {
      await using asking = await asker(way, server)
      const large = { targetingKey: 'x', pad: 'p'.repeat(990_000) }
      expect(await asking.ask('String', 'which', large), way).toMatchObject({ value: 'old' })
      const tooLarge = { ...large, more: 'p'.repeat(20_000) }
      expect(
        await asking.ask('String', 'which', tooLarge).catch(() => 'refused'),
        way,
      ).not.toMatchObject({ value: 'old' })
    }
  })

  test('a context of 300 levels is taken, whatever the protocol', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    for (const version of ['v1', 'v2'] as const) {
      expect(await askDeep(server.ports.evaluation, version, 300)).toMatchObject({ variant: 'old' })
    }
  })

  test('sync: the whole configuration at once, and again at each change', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    using sync = syncStream(server)
    const client = grpcClient(flagSync, server.host, server.ports.sync)
    expect(await sync.next(0)).toMatchObject({ flags: { which: { defaultVariant: 'old' } } })
    fixture.save(config('new'))
    expect(await sync.next(1)).toMatchObject({ flags: { which: { defaultVariant: 'new' } } })
    const fetched = await call<{ flagConfiguration: string }>(client, 'FetchAllFlags', {})
    expect(JSON.parse(fetched.flagConfiguration)).toMatchObject({
      flags: { which: { defaultVariant: 'new' } },
    })
    await call(client, 'GetMetadata', {})
    client.close()
  })

  test('the provider hears of a change, by rpc and in-process', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    await using rpc = await asker('rpc', server)
    await using inProcess = await asker('in-process', server)
    expect([(await which(rpc)).value, (await which(inProcess)).value]).toEqual(['old', 'old'])
    fixture.save(config('new'))
    await served(rpc, 'new')
    await served(inProcess, 'new')
  })
})
