import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { flagSync } from '../../src/sidecar/protocol.ts'
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

describe.each(serverKinds())('$name', (kind) => {
  const served = (asking: Asker, value: string): Promise<void> =>
    until(
      `"${value}" is served`,
      kind.noticeWithin,
      async () => (await which(asking)).value === value,
    )

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
      await until('the flag is gone', kind.noticeWithin, async () => {
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
    await expect(kind.start(fixture.file)).rejects.toThrow(
      /SB_FLAGS_FILE_MISSING|no flags file|exited/,
    )
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

  test('the same content written again fires no event', async () => {
    using fixture = flagsFixture(config('old'))
    await using server = await kind.start(fixture.file)
    using events = eventStream('v2', server)
    await events.next(0)
    fixture.save(config('old'))
    await delay(kind.settled)
    const changes = events.messages.filter(({ flags }) => Object.keys(flags).length > 0)
    expect(changes).toEqual([])
    fixture.save(config('new'))
    await events.next(1, ({ type }) => type === 'configuration_change')
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
    await using rpc = await asker('provider rpc', server)
    await using inProcess = await asker('provider in-process', server)
    expect([(await which(rpc)).value, (await which(inProcess)).value]).toEqual(['old', 'old'])
    fixture.save(config('new'))
    await served(rpc, 'new')
    await served(inProcess, 'new')
  })
})
