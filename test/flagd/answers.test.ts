import { Agent, request } from 'node:http'
import { OpenFeature } from '@openfeature/server-sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JsonObject } from '../../src/flagfile/index.ts'
import { evaluationV1 } from '../../src/sidecar/grpc/protocol.ts'
import type { ValueTypeName } from '../../src/sidecar/grpc/protocol.ts'
import { fromStruct, toStruct } from '../../src/sidecar/grpc/struct.ts'
import type { Struct } from '../../src/sidecar/grpc/struct.ts'
import { asker, call, grpcClient } from '../support/flagd-askers.ts'
import type { Asker, Said, Way } from '../support/flagd-askers.ts'
import { isOn } from '../support/flagd-bucket.ts'
import { remoteServer, serverKinds } from '../support/flagd-server.ts'
import type { FlagServer } from '../support/flagd-server.ts'
import { inFull } from '../support/full.ts'

/**
 * What flagd answers, whoever asks and however. FLAGD_BIN (a flagd binary) adds a real flagd that the
 * test starts; FLAGD_HOST (with FLAGD_PORT, FLAGD_SYNC_PORT, FLAGD_OFREP_PORT, FLAGD_MANAGEMENT_PORT)
 * one that runs already and serves test/flagd/flags.json.
 */
const FILE = 'test/flagd/flags.json'
const remote = remoteServer()
const targets: readonly (readonly [string, () => Promise<FlagServer>])[] = [
  ...serverKinds().map((kind) => [kind.name, () => kind.start(FILE)] as const),
  ...(remote ? [['FLAGD_HOST', () => Promise.resolve(remote)] as const] : []),
]

interface Row {
  readonly what: string
  readonly key: string
  readonly type?: ValueTypeName
  readonly context?: JsonObject
  readonly said: Said
  /** Ways for which the row does not hold, or takes too long. */
  readonly except?: readonly Way[]
}

const bob = { targetingKey: 'bob' }
const on = (reason: string): Said => ({ value: true, variant: 'on', reason })
const off = (reason: string): Said => ({ value: false, variant: 'off', reason })
const beta = { targetingKey: 'bob', plan: 'beta' }

// The provider tries UNKNOWN again four times, for some seconds: a trap of its own.
const retried: readonly Way[] = ['rpc']
const untyped: readonly Way[] = ['ofrep']

const rows: readonly Row[] = [
  { what: 'a static boolean', key: 'static-boolean', said: on('STATIC') },
  {
    what: 'a static string of any script',
    key: 'static-string',
    type: 'String',
    said: { value: 'bläué ☃ 💥', variant: 'blau', reason: 'STATIC' },
  },
  {
    what: 'a static float',
    key: 'static-float',
    type: 'Float',
    said: { value: 3.75, variant: 'pi', reason: 'STATIC' },
  },
  {
    what: 'a static integer',
    key: 'static-int',
    type: 'Int',
    said: { value: 42, variant: 'answer', reason: 'STATIC' },
  },
  {
    what: 'an integer that is 0',
    key: 'zero-int',
    type: 'Int',
    said: { value: 0, variant: 'zero', reason: 'STATIC' },
  },
  {
    what: 'an integer asked for as a float',
    key: 'static-int',
    type: 'Float',
    said: { value: 42, variant: 'answer', reason: 'STATIC' },
  },
  {
    what: 'a float asked for as an integer, cut',
    key: 'static-float',
    type: 'Int',
    said: { value: 3, variant: 'pi', reason: 'STATIC' },
    except: ['ofrep', 'rpc', 'in-process', 'file'],
  },
  {
    what: 'a static object',
    key: 'static-object',
    type: 'Object',
    said: {
      value: { list: [1, 'x', null, { deep: true }], text: 'é' },
      variant: 'full',
      reason: 'STATIC',
    },
  },
  {
    what: 'a rule, a context and a variant in another script',
    key: 'non-ascii-variant',
    type: 'String',
    context: { targetingKey: 'x', größe: 'übergroß' },
    said: { value: 'ja', variant: 'größe', reason: 'TARGETING_MATCH' },
  },
  { what: 'an unknown flag', key: 'nope', said: { error: 'FLAG_NOT_FOUND' } },
  { what: 'a flag named as a method', key: 'toString', said: { error: 'FLAG_NOT_FOUND' } },
  { what: 'a flag named __proto__', key: '__proto__', said: { error: 'FLAG_NOT_FOUND' } },
  {
    what: 'a string asked for as a boolean',
    key: 'static-string',
    said: { error: 'TYPE_MISMATCH' },
    except: untyped,
  },
  {
    what: 'a boolean asked for as an object',
    key: 'static-boolean',
    type: 'Object',
    said: { error: 'TYPE_MISMATCH' },
    except: untyped,
  },
  {
    what: 'a boolean asked for as an integer',
    key: 'static-boolean',
    type: 'Int',
    said: { error: 'TYPE_MISMATCH' },
    except: untyped,
  },
  { what: 'a disabled flag', key: 'disabled', said: { reason: 'DISABLED' } },
  ...['no-default', 'no-default-targeted'].flatMap((key): Row[] => [
    {
      what: `no defaultVariant, and no match: ${key}`,
      key,
      said: { reason: 'DEFAULT' },
      except: ['v1'],
    },
    // v1 has no way to say that the caller's default applies.
    {
      what: `no defaultVariant, and no match, in v1: ${key}`,
      key,
      said: { error: 'FLAG_NOT_FOUND' },
      except: ['v2', 'http', 'ofrep', 'rpc', 'in-process', 'file'],
    },
  ]),
  {
    what: 'no defaultVariant, a match',
    key: 'no-default-targeted',
    context: beta,
    said: on('TARGETING_MATCH'),
  },
  { what: 'a rule that says null', key: 'targeting-null', said: off('DEFAULT') },
  {
    what: 'a rule that says true',
    key: 'targeting-boolean',
    context: beta,
    said: { value: true, variant: 'true', reason: 'TARGETING_MATCH' },
  },
  { what: 'an empty rule', key: 'empty-targeting', said: on('STATIC') },
  { what: 'no targeting key', key: 'use-redis', context: {}, said: off('DEFAULT') },
  {
    what: 'an empty targeting key',
    key: 'use-redis',
    context: { targetingKey: '' },
    said: off('DEFAULT'),
  },
  {
    what: 'a targeting key that is a number',
    key: 'everyone',
    context: { targetingKey: 7 },
    said: off('DEFAULT'),
  },
  { what: 'weights that are all 0', key: 'zero-weights', context: bob, said: on('DEFAULT') },
  { what: 'weights with a fraction', key: 'fraction-weights', context: bob, said: on('DEFAULT') },
  { what: 'weights that are strings', key: 'string-weights', context: bob, said: on('DEFAULT') },
  {
    what: 'an unknown variant in fractional',
    key: 'unknown-variant',
    context: bob,
    said: { error: 'GENERAL' },
    except: retried,
  },
  {
    what: 'an unknown operator',
    key: 'unknown-operator',
    context: bob,
    said: { error: 'PARSE_ERROR' },
  },
  { what: 'an unknown field', key: 'unknown-field', said: on('STATIC') },
  { what: '$ref, in the segment', key: 'segment', context: beta, said: on('TARGETING_MATCH') },
  {
    what: '$ref, outside',
    key: 'segment',
    context: { plan: 'free' },
    said: off('TARGETING_MATCH'),
  },
  {
    what: 'sem_ver, above',
    key: 'version',
    context: { version: '2.10.0' },
    said: on('TARGETING_MATCH'),
  },
  {
    what: 'sem_ver, below',
    key: 'version',
    context: { version: '2.0.9' },
    said: off('TARGETING_MATCH'),
  },
  {
    what: 'starts_with, in another script',
    key: 'mail-starts',
    context: { mail: 'élan@example.org' },
    said: on('TARGETING_MATCH'),
  },
  {
    what: 'ends_with',
    key: 'mail-ends',
    context: { mail: 'a@example.org' },
    said: on('TARGETING_MATCH'),
  },
  { what: '$flagd.flagKey', key: 'knows-its-key', said: on('TARGETING_MATCH') },
  { what: '$flagd.timestamp', key: 'knows-the-time', said: on('TARGETING_MATCH') },
  {
    what: "the caller's own $flagd",
    key: 'knows-its-key',
    context: { $flagd: { flagKey: 'another' } },
    said: on('TARGETING_MATCH'),
  },
]

const ways: readonly Way[] = ['v1', 'v2', 'http', 'ofrep', 'rpc', 'in-process', 'file']

describe.each(targets)('%s', (_name, start) => {
  let server: FlagServer
  beforeAll(async () => {
    server = await start()
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await OpenFeature.clearProviders()
  })

  describe.each(ways)('by %s', (way) => {
    let asking: Asker
    beforeAll(async () => {
      asking = await asker(way, server, FILE)
    })
    afterAll(() => asking[Symbol.asyncDispose]())

    test.each(rows.filter(({ except }) => !except?.includes(way)))(
      '$what',
      async ({ key, type = 'Boolean', context = {}, said }) => {
        const { metadata: _metadata, ...answer } = await asking.ask(type, key, context)
        expect(answer).toEqual(said)
      },
    )

    test('the metadata of the flag set and of the flag, the flag winning', async () => {
      const { metadata } = await asking.ask('Boolean', 'static-boolean', {})
      expect(metadata).toMatchObject({
        flagSetId: 'expectations',
        owner: 'cache-team',
        version: 'v2',
      })
    })

    test('buckets users by their UTF-8 bytes', async () => {
      const keys = [...users(inFull(15, 50)), ...foreignKeys(inFull(45, 150))]
      for (const [flag, share] of [
        ['use-redis', 10],
        ['half', 50],
      ] as const) {
        const said = await Promise.all(
          keys.map((targetingKey) => asking.ask('Boolean', flag, { targetingKey })),
        )
        expect(said.map(({ value }) => value)).toEqual(
          keys.map((key) => isOn('use-redis', key, share)),
        )
      }
    })
  })

  const asked = inFull(
    { users: 1_000, tenth: 94, quarter: 232, half: 488 },
    { users: 10_000, tenth: 1_033, quarter: 2_545, half: 5_047 },
  )
  test(`of ${asked.users} users ${asked.tenth}, ${asked.quarter} and ${asked.half} are on, and nobody is lost on the way up`, async () => {
    await using rpc = await asker('v2', server)
    await using inProcess = await asker('in-process', server)
    const count = { tenth: 0, quarter: 0, half: 0, lost: 0, different: 0 }
    await pooled([...users(asked.users).entries()], 64, async ([index, targetingKey]) => {
      const onBy = async ({ ask }: Asker, flag: string): Promise<boolean> =>
        (await ask('Boolean', flag, { targetingKey })).value === true
      const tenth = await onBy(inProcess, 'use-redis')
      const quarter = await onBy(inProcess, 'quarter')
      const half = await onBy(inProcess, 'half')
      // Over the wire, a fifth of them: user by user the same.
      if (index % 5 === 0 && (await onBy(rpc, 'use-redis')) !== tenth) count.different++
      if (tenth) count.tenth++
      if (quarter) count.quarter++
      if (half) count.half++
      if ((tenth && !quarter) || (quarter && !half)) count.lost++
    })
    const { tenth, quarter, half } = asked
    expect(count).toEqual({ tenth, quarter, half, lost: 0, different: 0 })
  }, 180_000)

  test('ResolveAll: each flag with its type, the disabled with the zero of its type', async () => {
    const client = grpcClient(evaluationV1, server.host, server.ports.evaluation)
    const { flags = {} } = await call<AllResponse>(client, 'ResolveAll', {
      context: toStruct(beta),
    })
    client.close()
    expect(flags['segment']).toMatchObject({ boolValue: true, variant: 'on' })
    expect(flags['static-string']).toMatchObject({ stringValue: 'bläué ☃ 💥' })
    expect(flags['static-int']).toMatchObject({ doubleValue: 42 })
    expect(fromStruct(flags['static-object']?.objectValue)).toMatchObject({ text: 'é' })
    expect(flags['disabled']?.boolValue).toBe(false)
    expect(flags).not.toHaveProperty('no-default')
  })

  test('OFREP bulk: every flag, errors among them, each with the metadata of the set', async () => {
    const { status, body } = await ofrep('', JSON.stringify({ context: beta }))
    expect(status).toBe(200)
    const all = JSON.parse(body) as { flags: { key: string }[]; metadata: object }
    const of = (key: string): object | undefined => all.flags.find((flag) => flag.key === key)
    expect(of('segment')).toMatchObject({ value: true, variant: 'on', reason: 'TARGETING_MATCH' })
    expect(of('unknown-operator')).toMatchObject({ errorCode: 'PARSE_ERROR' })
    expect(of('unknown-variant')).toMatchObject({ errorCode: 'GENERAL' })
    expect(of('segment')).toMatchObject({ metadata: { flagSetId: 'expectations' } })
    // That of the selector, and there is none.
    expect(all.metadata).toEqual({})
  })

  test.each([
    ['no body', ''],
    ['no context', '{}'],
    ['a context that is no object', '{"context":7}'],
  ])('OFREP: %s is an empty context', async (_what, sent) => {
    const { status, body } = await ofrep('/use-redis', sent)
    expect(status).toBe(200)
    expect(JSON.parse(body)).toMatchObject({ key: 'use-redis', value: false, reason: 'DEFAULT' })
  })

  test.each([
    ['is not JSON', '{"context":'],
    ['is a list', '[1]'],
  ])('OFREP: a body that %s is an invalid context', async (_what, sent) => {
    const { status, body } = await ofrep('/use-redis', sent)
    expect(status).toBe(400)
    expect(JSON.parse(body)).toMatchObject({ key: 'use-redis', errorCode: 'INVALID_CONTEXT' })
  })

  test('OFREP: GET is not allowed, other paths are not found', async () => {
    expect((await ofrep('/use-redis', '', 'GET')).status).toBe(405)
    expect((await ofrep('/use-redis/more', '')).status).toBe(404)
  })

  test('healthy, ready, and counts evaluations', async () => {
    await using asking = await asker('v2', server)
    await asking.ask('Boolean', 'static-boolean', {})
    const base = `http://${server.host}:${server.ports.management}`
    expect((await fetch(`${base}/healthz`)).status).toBe(200)
    expect((await fetch(`${base}/readyz`)).status).toBe(200)
    const metrics = await (await fetch(`${base}/metrics`)).text()
    expect(metrics).toMatch(
      /^feature_flag_flagd_impression_total\{[^}]*"static-boolean"[^}]*\} \d+$/m,
    )
  })

  const agent = new Agent({ keepAlive: true })
  afterAll(() => agent.destroy())

  function ofrep(
    path: string,
    body: string,
    method = 'POST',
  ): Promise<{ status: number; body: string }> {
    const target = { host: server.host, port: server.ports.ofrep, agent, method }
    return new Promise((resolve, reject) => {
      const sent = request({ ...target, path: `/ofrep/v1/evaluate/flags${path}` }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }))
      })
      sent.on('error', reject)
      sent.end(body)
    })
  }
})

interface AllResponse {
  readonly flags?: Readonly<
    Record<
      string,
      {
        readonly variant?: string
        readonly boolValue?: boolean
        readonly objectValue?: Struct
      }
    >
  >
}

function users(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `user_${index}`)
}

/** Keys of two, three and four UTF-8 bytes a character, and a mixture. */
function foreignKeys(count: number): string[] {
  const alphabets = ['é', 'ß', 'Ж', '東', '💥', 'a']
  return Array.from(
    { length: count },
    (_, index) =>
      `${alphabets[index % 6]}${index}${alphabets[(index * 7) % 6]}-${alphabets[(index * 5 + 1) % 6]}`,
  )
}

async function pooled<Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await work(item)
    }),
  )
}
