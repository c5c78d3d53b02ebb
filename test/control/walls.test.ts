import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startControl } from '../../src/control/index.ts'
import { RateLimit } from '../../src/control/server/rate-limit.ts'
import { raw, shareIn, startRoom, type TestRoom } from '../support/control-room.ts'

const json = { 'content-type': 'application/json' }

async function codeOf(response: Response): Promise<[number, string]> {
  return [response.status, ((await response.json()) as { code: string }).code]
}

describe('on loopback', () => {
  let room: TestRoom
  let host: string

  beforeAll(async () => {
    room = await startRoom()
    host = new URL(room.url).host
  })
  afterAll(() => room?.[Symbol.asyncDispose]())

  test.each([
    ['evil.example'],
    ['evil.example:80'],
    ['127.0.0.1.evil.example'],
    ['localhost.evil.example'],
    ['localhost@evil.example'],
    ['[::1].evil.example'],
  ])('a rebound name is refused, for reading too: Host %j', async (name) => {
    for (const path of ['/', '/api/state', '/api/events', '/openapi.json']) {
      const { status, body } = await raw(room.url, { path, headers: { host: name } })
      expect([path, status, (JSON.parse(body) as { code: string }).code]).toEqual([
        path,
        403,
        'SB_CONTROL_HOST',
      ])
    }
  })

  test.each([['localhost'], ['LOCALHOST:1'], ['[::1]:3001'], ['127.0.0.1']])(
    'its own names are not: Host %j',
    async (name) => {
      expect((await raw(room.url, { path: '/healthz', headers: { host: name } })).status).toBe(200)
    },
  )

  test.each([
    [{ origin: 'http://evil.example' }],
    [{ origin: 'null' }],
    [{ origin: 'http://127.0.0.1:1' }],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }],
  ])('another site cannot change anything: %j', async (headers) => {
    const before = await shareIn(room.file)
    for (const path of ['/api/rollback', '/api/share', '/api/undo']) {
      const { status } = await raw(room.url, {
        path,
        method: 'POST',
        headers: { ...json, ...headers },
      })
      expect(status).toBe(403)
    }
    expect(await shareIn(room.file)).toBe(before)
  })

  test('another site may link to the page, and read nothing', async () => {
    const site = { 'sec-fetch-site': 'cross-site' }
    const link = { ...site, 'sec-fetch-mode': 'navigate' }
    expect((await raw(room.url, { path: '/', headers: link })).status).toBe(200)
    expect((await raw(room.url, { path: '/api/state', headers: site })).status).toBe(403)
    expect((await raw(room.url, { path: '/api/state', headers: link })).status).toBe(403)
    const { headers } = await raw(room.url, { path: '/api/state' })
    expect(headers['access-control-allow-origin']).toBeUndefined()
  })

  test.each([
    ['application/x-www-form-urlencoded', 'share=100'],
    ['text/plain', '{"share":100}'],
    ['multipart/form-data; boundary=x', '--x--'],
    ['application/json-patch', '{"share":100}'],
  ])('what a form can send is refused: %s', async (type, body) => {
    const response = await room.post('/api/share', body, { 'content-type': type })
    expect(await codeOf(response)).toEqual([415, 'SB_CONTROL_MEDIA'])
    expect(await shareIn(room.file)).toBe(10)
  })

  test('every answer forbids the browser what the page does not need', async () => {
    for (const path of ['/', '/assets/styles.css', '/api/state', '/nowhere', '/api/events']) {
      const { headers, body } = await fetch(`${room.url}${path}`)
      await body?.cancel()
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; script-src 'self'/,
      )
      expect(headers.get('content-security-policy')).not.toContain('unsafe')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('x-frame-options')).toBe('DENY')
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin')
    }
  })

  test.each([
    '/assets/../../../package.json',
    '/assets/page/../../../../package.json',
    '/assets/page/%2e%2e%2f%2e%2e%2fpackage.json',
    '/assets/page/..%5c..%5cpackage.json',
    '/assets/page/main.js%00.css',
    '/assets/page//main.js',
    '/assets/page/main.d.ts',
    '/assets/page/main.js.map',
    '/.git/config',
    '//evil.example/',
    '/%',
    '/api/state/../../etc/passwd',
    `/${'a'.repeat(8000)}`,
  ])('no path leads out: %.60s', async (path) => {
    const { status, body } = await raw(room.url, { path })
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(body).not.toContain('dependencies')
  })

  test('wrong bodies are told apart from changes', async () => {
    const wrong: unknown[] = [
      '{',
      '[]',
      'null',
      {},
      { share: '25' },
      { share: -1 },
      { share: 101 },
      { share: null },
      { share: [25] },
      { share: 25, extra: true },
      { share: 0.0001 },
      { share: 25, who: 'x'.repeat(65) },
      { share: 25, who: 'two\nlines' },
      { share: 25, hash: 'zz' },
      '{"__proto__":{"share":25}}',
    ]
    for (const body of wrong) {
      const response = await room.post('/api/share', body)
      expect([body, response.status]).toEqual([body, 400])
      expect(response.headers.get('content-type')).toContain('application/problem+json')
    }
    const huge = await room.post('/api/share', `{"share":25,"who":"${'x'.repeat(100_000)}"}`)
    expect(huge.status).toBe(413)
    expect(await shareIn(room.file)).toBe(10)
  })

  test('any JSON at all: an answer below 500, and a whole file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), async (body) => {
        const response = await room.post('/api/preview', body)
        // 429: the limit stands in front of everything.
        expect([200, 400, 409, 429]).toContain(response.status)
        await response.body?.cancel()
      }),
      { numRuns: 40 },
    )
    expect(await shareIn(room.file)).toBe(10)
  })

  test('methods: what is not there is 404, what is there otherwise is 405', async () => {
    const get = await fetch(`${room.url}/api/rollback`)
    expect([await codeOf(get), get.headers.get('allow')]).toEqual([
      [405, 'SB_CONTROL_METHOD'],
      'POST',
    ])
    expect((await fetch(`${room.url}/api/nothing`)).status).toBe(404)
    expect(
      (await raw(room.url, { path: '/api/rollback', method: 'TRACE' })).status,
    ).toBeGreaterThan(399)
    expect(await shareIn(room.file)).toBe(10)
  })

  test('a line that is no HTTP, a head without end: the others are served', async () => {
    const { hostname, port } = new URL(room.url)
    const sockets = [
      '\u0000\u0001\n\n',
      'GET / HTTP/1.1\r\nX: ',
      'POST /api/rollback HTTP/9\r\n\r\n',
    ].map((text) => {
      const socket = connect(Number(port), hostname, () => socket.write(text))
      socket.on('error', () => {}).resume()
      return socket
    })
    expect((await fetch(`${room.url}/healthz`)).status).toBe(200)
    for (const socket of sockets) socket.destroy()
  })

  test('more pages than it can bear are turned away, and the API answers', async () => {
    const controller = new AbortController()
    // The responses are kept: fetch ends a stream whose response was collected.
    const open = await Promise.all(
      Array.from({ length: 70 }, () =>
        fetch(`${room.url}/api/events`, { signal: controller.signal }),
      ),
    )
    expect(open.filter(({ status }) => status === 200)).toHaveLength(64)
    expect(open.filter(({ status }) => status === 429)).toHaveLength(6)
    expect((await fetch(`${room.url}/api/state`, { headers: { host } })).status).toBe(200)
    controller.abort()
  })
})

describe('where others can reach it', () => {
  const token = 'correct-horse-battery-staple'

  test.each([
    [{ host: '0.0.0.0' }, 'SB_CONTROL_TOKEN_MISSING'],
    [{ host: '::' }, 'SB_CONTROL_TOKEN_MISSING'],
    [{ allowedHosts: ['control.internal'] }, 'SB_CONTROL_TOKEN_MISSING'],
    [{ token: 'short' }, 'SB_CONTROL_TOKEN_WEAK'],
    [{ token: 'with spaces and more spaces' }, 'SB_CONTROL_TOKEN_WEAK'],
  ])('it does not start without a good token: %j', async (options, code) => {
    const started = startControl({
      file: 'none.json',
      port: 0,
      page: 'dist/cli/page',
      ...options,
    })
    await expect(started).rejects.toMatchObject({ code })
  })

  test('reading is free, changes need the token, guessing is slowed down', async () => {
    await using room = await startRoom({
      host: '0.0.0.0',
      token,
      allowedHosts: ['control.internal'],
      share: 30,
    })
    const url = room.url.replace('0.0.0.0', '127.0.0.1')
    const post = (headers: Record<string, string>): Promise<Response> =>
      fetch(`${url}/api/rollback`, { method: 'POST', headers: { ...json, ...headers }, body: '{}' })
    expect((await fetch(`${url}/api/state`)).status).toBe(200)
    expect((await raw(url, { path: '/', headers: { host: 'control.internal' } })).status).toBe(200)
    expect((await raw(url, { path: '/', headers: { host: 'other.internal' } })).status).toBe(403)

    const none = await post({})
    expect(none.headers.get('www-authenticate')).toContain('Bearer')
    expect(await codeOf(none)).toEqual([401, 'SB_CONTROL_TOKEN'])
    for (const wrong of [`${token}x`, token.slice(1), 'Bearer', token.toUpperCase()]) {
      expect((await post({ authorization: `Bearer ${wrong}` })).status).toBe(401)
    }
    expect((await post({ authorization: `Basic ${token}` })).status).toBe(401)
    expect((await post({ authorization: 'Bearer wrong-again' })).status).toBe(401)
    // Five wrong ones: now even the right one waits, or guessing would be as fast as the network.
    expect((await post({ authorization: `Bearer ${token}` })).status).toBe(429)
    expect(await shareIn(room.file)).toBe(30)
    expect(room.audit.every(({ status }) => status === 401 || status === 429)).toBe(true)
    expect(JSON.stringify(room.audit)).not.toContain(token)
  })

  test('with the token it changes', async () => {
    await using room = await startRoom({ token, share: 30 })
    const sent = await room.post('/api/rollback', {}, { authorization: `Bearer ${token}` })
    expect(sent.status).toBe(200)
    expect(await shareIn(room.file)).toBe(0)
  })
})

test('changes are limited by address; going back has a limit of its own', async () => {
  await using room = await startRoom({ share: 30 })
  const statuses: number[] = []
  for (let i = 0; i < 40; i++)
    statuses.push((await room.post('/api/preview', { share: -1 })).status)
  expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(0)
  const limited = await room.post('/api/share', { share: 50 })
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '5'])
  expect((await room.post('/api/rollback')).status).toBe(200)
  expect(await shareIn(room.file)).toBe(0)
})

test('a rate limit: never more than the burst and what came back since, whatever the times', () => {
  const steps = fc.array(fc.tuple(fc.nat(5000), fc.constantFrom('a', 'b')), { maxLength: 200 })
  fc.assert(
    fc.property(steps, (calls) => {
      let now = 0
      const limit = new RateLimit({ burst: 5, perSecond: 1, now: () => now })
      const taken = { a: 0, b: 0 }
      for (const [pause, address] of calls) {
        now += pause
        if (limit.take(address as 'a')) taken[address as 'a']++
      }
      for (const count of Object.values(taken))
        expect(count).toBeLessThanOrEqual(5 + now / 1000 + 1e-6)
    }),
  )
})
