// @needs redis
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import { inspect } from 'node:util'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CacheBackend, fileCache, redisCache } from '../../../src/cache/index.ts'
import { parseRedisUrl, shownRedisUrl } from '../../../src/cache/redis/connection/url.ts'
import type { SwitchbackError } from '../../../src/errors.ts'
import { main } from '../../../src/cli/index.ts'
import { createCacheSwitch } from '../../../src/switch/index.ts'
import { findingsOf } from '../../cli/doctor-findings.ts'
import { FixedDecider } from '../../support/fixed-decider.ts'
import { freePort, startRedis, type TestRedis } from '../../support/redis-server.ts'
import { startRedisCluster, type TestCluster } from '../../support/redis-cluster.ts'
import { until } from '../../support/until.ts'
import { withWarnings } from '../../support/with-warnings.ts'
import { anyText } from '../../support/any-text.ts'

const SECRET = 'hunter2'

/** What the doctor says of a Redis itself. */
async function ofRedis(url: string): Promise<Record<string, string> | undefined> {
  return (await findingsOf('--redis', url)).find(({ check }) => check === 'redis')
}

function refusalOf(url: unknown): SwitchbackError | undefined {
  try {
    parseRedisUrl(url)
    return undefined
  } catch (error) {
    return error as SwitchbackError
  }
}

/** What is wrong, and what the hint must say. */
const WRONG: readonly (readonly [string, string, string])[] = [
  [` redis://:${SECRET}@h`, 'begins or ends with a blank', 'Remove it'],
  [`redis://:${SECRET}@h `, 'begins or ends with a blank', 'Remove it'],
  [`redis://:${SECRET}@h\n`, 'begins or ends with a blank', 'Remove it'],
  [`\u00a0redis://:${SECRET}@h`, 'begins or ends with a blank', 'Remove it'],
  [`"redis://:${SECRET}@h"`, 'quotation mark', 'Remove'],
  [`redis://:${SECRET}%@h`, '% in the user or the password', '%25'],
  [`redis://:100%zz${SECRET}@h`, '% in the user or the password', '%25'],
  [`redis://us%er:${SECRET}@h`, '% in the user or the password', '%25'],
  [`redis://:%ff${SECRET}@h`, '% in the user or the password', '%25'],
  [`redis://:${SECRET}#x@h`, 'has a #', '%23'],
  [`redis://:${SECRET}/x@h`, 'before the @', '%2F'],
  [`redis://:12/${SECRET}@h`, 'before the @', '%2F'],
  [`redis://:${SECRET}?x@h`, 'before the @', '%3F'],
  [`redis://:hun ter2@h`, 'has a blank', '%20'],
  [`redis://:hun\tter2@h`, 'has a blank', '%20'],
  [`http://:${SECRET}@h`, 'scheme "http"', 'redis://'],
  [`REDIS://:${SECRET}@h`, 'scheme "REDIS"', 'redis://'],
  [`valkey://:${SECRET}@h`, 'scheme "valkey"', 'redis://'],
  [`redis:${SECRET}@h`, 'does not begin with', 'redis://'],
  [`default:${SECRET}@h`, 'does not begin with', 'redis://'],
  [`h:6379`, 'does not begin with', 'redis://'],
  ['/tmp/redis.sock', 'path of a socket', 'client'],
  ['unix:///tmp/redis.sock', 'path of a socket', 'client'],
  [`redis://`, 'no host', 'redis://host'],
  [`redis://:${SECRET}@`, 'no host', 'redis://host'],
  [`redis://:${SECRET}@:6379`, 'no host', 'redis://host'],
  [`redis://:${SECRET}`, 'no host', 'redis://host'],
  [`redis:///0`, 'no host', 'redis://host'],
  [`redis://:${SECRET}@h:65536`, 'port', '65535'],
  [`redis://:${SECRET}@h:0`, 'port', '65535'],
  [`redis://:${SECRET}@h:-1`, 'port', '65535'],
  [`redis://user:${SECRET}`, 'port', '65535'],
  [`redis://a:${SECRET}@h,b:1`, 'several servers', 'client'],
  [`redis://:${SECRET}@h^x`, 'not a valid URL', 'redis://host'],
  [`redis://:${SECRET}@[::1`, 'not a valid URL', 'redis://host'],
  [`redis://:${SECRET}@h/users`, 'number of a database', 'leave the path out'],
  [`redis://:${SECRET}@h/-1`, 'number of a database', 'leave the path out'],
  [`redis://h?password=${SECRET}`, 'options after the ?', 'client'],
  [`redis://h?maxRetriesPerRequest=20`, 'options after the ?', 'client'],
  [`redis://:${SECRET}@h/2?db=3`, 'several databases', 'once'],
  [`redis://:${SECRET}@h?db=2&db=3`, 'several databases', 'once'],
  [`redis://:${SECRET}@h/99999999999999999999999`, 'too great', 'leave the number out'],
  [`redis://:${SECRET}@h?db=2147483648`, 'too great', 'leave the number out'],
  [`redis://:${SECRET}@h?family=5`, 'family', '0, 4 or 6'],
  [`redis://:${SECRET}@h%zz`, 'host that is not a name', 'redis://host'],
  [`redis://:${SECRET}@a%20b`, 'host that is not a name', 'redis://host'],
  [`redis://h?db=x`, 'options after the ?', 'client'],
  ['', 'is empty', 'redis://'],
  ['  ', 'is blank', 'redis://'],
]

describe('a URL that cannot be used', () => {
  test.each(WRONG)('%j: %s', (url, what, remedy) => {
    const error = refusalOf(url)
    expect(error?.code).toBe('SB_REDIS_URL')
    expect(error?.cause).toBeUndefined()
    expect(error?.message).toContain(what)
    expect(`${error?.message} ${error?.hint}`).toContain(remedy)
    expect(() => redisCache({ url })).toThrow(error?.message)
    const told = `${inspect(error, { depth: 9, showHidden: true })} ${error?.stack} ${shownRedisUrl(url)}`
    expect(told).not.toMatch(/hun.?ter2/)
  })

  test.each([undefined, null, 5, {}])('%s is not a text', (url) => {
    expect(refusalOf(url)).toMatchObject({ code: 'SB_REDIS_URL' })
  })

  test('the command line says the same, with exit code 2', async () => {
    const [blank, percent] = [WRONG[0]!, WRONG[5]!]
    for (const [url, what] of [blank, percent]) {
      const finding = await ofRedis(url)
      expect(finding).toMatchObject({ state: 'problem', text: 'what was given is not a Redis URL' })
      expect(finding?.['remedy']).toContain(what)
      let text = ''
      const write = (part: string): void => void (text += part)
      const code = await main({
        argv: ['start', '--no-control'],
        env: { REDIS_URL: url, SWITCHBACK_NO_INSTALL: '1', PORT: '0' },
        stdin: process.stdin,
        stdout: { write },
        stderr: { write },
        signal: AbortSignal.timeout(60_000),
      })
      expect(text).toContain(what)
      expect(text).not.toContain(SECRET)
      expect(code).toBe(2)
    }
  })
})

test('a host that is not ASCII is looked up as browsers do, and one database may be named twice', () => {
  const url = 'rediss://:x@bücher.example:6380/2?db=02'
  expect(parseRedisUrl(url)).toMatchObject({ host: 'xn--bcher-kva.example', port: 6380, db: 2 })
  expect(parseRedisUrl('redis://b%C3%BCcher').host).toBe('xn--bcher-kva')
  expect(shownRedisUrl(url)).toBe('rediss://xn--bcher-kva.example:6380/2')
})

test('property: a URL that was encoded comes back part by part, and is shown without its credentials', () => {
  const text = anyText({ minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(
      fc.option(text, { nil: '' }),
      text,
      fc.constantFrom('h', '127.0.0.1', 'redis.internal', '[::1]', 'my_host'),
      fc.integer({ min: 1, max: 65_535 }),
      fc.option(fc.nat(15), { nil: undefined }),
      fc.boolean(),
      (username, password, host, port, db, tls) => {
        const who = `${encodeURIComponent(username)}:${encodeURIComponent(password)}`
        const where = `${host}:${port}${db === undefined ? '' : `/${db}`}`
        const url = `redis${tls ? 's' : ''}://${who}@${where}`
        const parsed = parseRedisUrl(url)
        expect(parsed).toMatchObject({ host: host.replace(/[[\]]/gu, ''), port, password })
        expect(parsed.username ?? '').toBe(username)
        expect(parsed.db).toBe(db)
        expect(parsed.tls !== undefined).toBe(tls)
        expect(shownRedisUrl(url)).toBe(`redis${tls ? 's' : ''}://${where}`)
      },
    ),
    { numRuns: 50 },
  )
})

test('property: whatever is given, an error repeats nothing of what stands before an @', () => {
  const part = fc.string({ maxLength: 6 })
  fc.assert(
    fc.property(
      fc.constantFrom('redis://', 'rediss://', 'redis:', 'redis//', 'http://', '', ' redis://'),
      part,
      part,
      part,
      (scheme, before, after, rest) => {
        const url = `${scheme}${before}${SECRET}${after}@${rest}`
        const error = refusalOf(url)
        if (error === undefined) return
        expect(error.code).toBe('SB_REDIS_URL')
        expect(`${inspect(error)} ${shownRedisUrl(url)}`).not.toContain(SECRET)
      },
    ),
  )
})

describe('TLS at one end only', () => {
  let plain: TestRedis
  let secured: TestRedis
  let tlsPort: number

  beforeAll(async () => {
    plain = await startRedis()
    execFileSync(
      'openssl',
      [
        ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'.split(' '),
        '-subj',
        '/CN=127.0.0.1',
        '-addext',
        'subjectAltName=IP:127.0.0.1',
        '-keyout',
        join(plain.dir, 'key.pem'),
        '-out',
        join(plain.dir, 'cert.pem'),
      ],
      { stdio: 'ignore' },
    )
    tlsPort = await freePort()
    const cert = join(plain.dir, 'cert.pem')
    secured = await startRedis({
      args: [
        '--tls-port',
        String(tlsPort),
        '--tls-auth-clients',
        'no',
        '--tls-cert-file',
        cert,
        '--tls-key-file',
        join(plain.dir, 'key.pem'),
        '--tls-ca-cert-file',
        cert,
      ],
    })
  })
  afterAll(async () => {
    await secured.stop()
    await plain.stop()
  })

  /** The first warning, and what the doctor says. */
  async function told(url: string): Promise<readonly [SwitchbackError, Record<string, string>]> {
    const warning = await new Promise<SwitchbackError>((resolve) => {
      const cache = withWarnings(redisCache({ url }), (one) => {
        resolve(one)
        void cache.close()
      })
    })
    const finding = await ofRedis(url)
    return [warning, finding!]
  }

  test('rediss:// and a server without TLS', async () => {
    const [warning, finding] = await told(`rediss://:${SECRET}@127.0.0.1:${plain.port}`)
    expect(warning).toMatchObject({
      code: 'SB_REDIS_URL',
      hint: expect.stringContaining('redis://'),
    })
    expect(warning.message).toContain('does not speak TLS')
    expect(finding).toMatchObject({ state: 'problem', text: warning.message, remedy: warning.hint })
    expect(inspect([warning, finding])).not.toContain(SECRET)
  })

  test('redis:// and a server with TLS', async () => {
    const [warning, finding] = await told(`redis://:${SECRET}@127.0.0.1:${tlsPort}`)
    expect(warning).toMatchObject({ code: 'SB_REDIS_URL', hint: 'Write rediss:// instead.' })
    expect(finding).toMatchObject({ state: 'problem', text: warning.message })
    expect(inspect([warning, finding])).not.toContain(SECRET)
  })

  test('a certificate that nobody vouches for', async () => {
    const [warning, finding] = await told(`rediss://127.0.0.1:${tlsPort}`)
    expect(warning).toMatchObject({ code: 'SB_REDIS_UNREACHABLE' })
    expect(warning.hint).toContain('NODE_EXTRA_CA_CERTS')
    expect(finding['text']).toContain('is not trusted: self-signed certificate')
    expect(finding['remedy']).toContain('NODE_EXTRA_CA_CERTS')
  })

  test('a server that says nothing at all is unreachable', async () => {
    const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    const [warning] = await told(`rediss://127.0.0.1:${port}`)
    expect(warning.code).toBe('SB_REDIS_UNREACHABLE')
    server.close()
  })
})

describe('a node of a Cluster behind the URL of a single Redis', () => {
  let cluster: TestCluster
  beforeAll(async () => {
    cluster = await startRedisCluster()
  })
  afterAll(() => cluster.stop())

  test('each node says so, whether or not it has the slot of the state; nothing of it is used', async () => {
    for (const { url } of cluster.masters) {
      const warnings: SwitchbackError[] = []
      const cache: CacheBackend = withWarnings(redisCache({ url }), (one) => warnings.push(one))
      await expect(cache.read('k')).rejects.toMatchObject({ code: 'SB_REDIS_CLUSTER' })
      await until('it is told', () => warnings.length > 0)
      expect(warnings).toMatchObject([
        { code: 'SB_REDIS_CLUSTER', hint: expect.stringContaining('new Cluster(') },
      ])
      await cache.close()
    }
  })

  test('one that hides its INFO, and a URL with a database', async () => {
    const [master] = cluster.masters
    await Promise.all(
      cluster.masters.map((one) =>
        one.command('ACL', 'SETUSER', 'shy', 'on', 'nopass', '~*', '+@all', '-info'),
      ),
    )
    for (const { port } of cluster.masters) {
      const cache = redisCache({ url: `redis://shy:x@127.0.0.1:${port}` })
      withWarnings(cache)
      const written = Promise.resolve(
        cache.write(
          'k',
          { payload: 'v', expiresAt: 9_999_999_999_999 },
          { expect: '*', within: 5000 },
        ),
      )
      await expect(written).rejects.toMatchObject({ code: 'SB_REDIS_CLUSTER' })
      await cache.close()
    }
    const cache = withWarnings(redisCache({ url: `${master!.url}/1` }))
    await expect(cache.read('k')).rejects.toMatchObject({ code: 'SB_REDIS_CLUSTER' })
    await cache.close()
  })

  test('a switch serves from the other side, and one event names the remedy', async () => {
    const codes: string[] = []
    const cache = createCacheSwitch({
      flag: 'f',
      off: fileCache({ directory: join(cluster.masters[0]!.dir, 'files') }),
      on: redisCache({ url: cluster.masters[0]!.url }),
      decider: new FixedDecider({ on: 'on' }),
      onEvent: (event) => {
        if (event.type === 'warning') codes.push(event.code)
      },
    })
    const view = cache.for({ targetingKey: 'on' })
    await view.set('k', 1)
    expect(await view.get('k')).toBe(1)
    await until('the side is out', async () => {
      await view.get('k')
      return cache.health().on.outSince > 0
    })
    expect(cache.health().on.detail).toContain('SB_REDIS_CLUSTER')
    expect(codes).toEqual(['SB_REDIS_CLUSTER'])
    await cache.close()
  })

  test('the doctor calls it a problem, and its database too', async () => {
    for (const path of ['', '/1']) {
      const finding = await ofRedis(cluster.masters[1]!.url + path)
      expect(finding).toMatchObject({ state: 'problem' })
      expect(finding?.['text']).toContain('a node of a Redis Cluster')
      expect(finding?.['remedy']).toContain('new Cluster(')
    }
  })
})
