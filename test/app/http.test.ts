import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, openService, put, serviceForTest, type TestService } from './support.ts'

describe('users', () => {
  it('are loaded once, then served from the cache of their side', async () => {
    const { url, sides, loads } = await serviceForTest()
    sides.set('user_1', 'on')
    const first = await ask(`${url}/users/user_0`)
    expect(first).toMatchObject({
      status: 200,
      side: 'off',
      cache: 'miss',
      servedBy: 'origin',
      contentType: 'application/json; charset=utf-8',
      body: { id: 'user_0', data: 'UserData for user_0' },
    })
    expect(await ask(`${url}/users/user_0`)).toMatchObject({
      side: 'off',
      cache: 'hit',
      servedBy: 'off',
      body: { id: 'user_0', data: 'UserData for user_0' },
    })
    expect(await ask(`${url}/users/user_1`)).toMatchObject({ side: 'on', cache: 'miss' })
    expect(await ask(`${url}/users/user_1`)).toMatchObject({ side: 'on', cache: 'hit' })
    expect(loads()).toBe(2)
  })

  it('are loaded once however many ask at the same time', async () => {
    const { url, loads } = await serviceForTest()
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(`${url}/users/user_0`)))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(loads()).toBe(1)
  })

  it('each see their own side, however many are served at once', async () => {
    const { url, sides } = await serviceForTest()
    const users = Array.from({ length: 60 }, (_, i) => `user ${i}`)
    for (const [i, user] of users.entries()) sides.set(user, i % 3 === 0 ? 'on' : 'off')
    const requests = [...users, ...users].map(async (user, i) => {
      const path = `${url}/users/${encodeURIComponent(user)}`
      const answer = await ask(path, i % 4 === 0 ? put('new') : {})
      return { side: answer.side, expected: sides.get(user) }
    })
    for (const { side, expected } of await Promise.all(requests)) expect(side).toBe(expected)
  })

  it('can be written and their cache dropped, on either side', async () => {
    const { url, sides, loads } = await serviceForTest()
    for (const side of ['off', 'on'] as const) {
      const user = `${url}/users/${side}-user`
      sides.set(`${side}-user`, side)
      expect(await ask(user, put('written'))).toMatchObject({
        status: 200,
        side,
        cache: 'stored',
        body: { id: `${side}-user`, data: 'written' },
      })
      const before = loads()
      expect(await ask(user)).toMatchObject({ cache: 'hit', body: { data: 'written' } })
      expect(loads()).toBe(before)
      expect(await ask(`${user}/cache`, { method: 'DELETE' })).toMatchObject({
        status: 200,
        side,
        cache: 'deleted',
        body: { deleted: true },
      })
      expect(await ask(user)).toMatchObject({ cache: 'miss', body: { data: 'written' } })
      expect(loads()).toBe(before + 1)
    }
  })

  it('keep what they wrote when they change sides', async () => {
    const { url, sides } = await serviceForTest()
    await ask(`${url}/users/mover`)
    sides.set('mover', 'on')
    await ask(`${url}/users/mover`, put('from on'))
    sides.set('mover', 'off')
    expect(await ask(`${url}/users/mover`)).toMatchObject({
      side: 'off',
      body: { data: 'from on' },
    })
  })
})

describe('what comes in', () => {
  let url = ''
  let opened: TestService
  beforeAll(async () => {
    opened = await openService()
    url = opened.url
  })
  afterAll(() => opened.close())

  it.each(['müller', '用户', '👩‍🚀', 'a/b', ' ', '%', 'a'.repeat(256)])(
    'may be called %j',
    async (id) => {
      expect(await ask(`${url}/users/${encodeURIComponent(id)}`)).toMatchObject({
        status: 200,
        body: { id, data: `UserData for ${id}` },
      })
    },
  )

  const json = { 'content-type': 'application/json' }
  it.each<[string, string, RequestInit, number]>([
    ['an empty id', '/users/', {}, 400],
    ['an id that is too long', `/users/${'a'.repeat(257)}`, {}, 400],
    ['an id that is far too long', `/users/${'a'.repeat(10_000)}`, {}, 400],
    ['a control character', '/users/a%00b', {}, 400],
    ['a line break', '/users/a%0Ab', {}, 400],
    ['a C1 control character', '/users/a%C2%85b', {}, 400],
    ['half an escape', '/users/%zz', {}, 400],
    ['half a character', '/users/%C3', {}, 400],
    [
      'an empty id to write',
      '/users/',
      { method: 'PUT', headers: json, body: '{"data":"x"}' },
      400,
    ],
    ['no such path', '/nothing', {}, 404],
    ['the metrics on the public port', '/metrics', {}, 404],
    ['a method that is not there', '/users/a', { method: 'POST' }, 405],
    ['a method on the cache', '/users/a/cache', { method: 'GET' }, 405],
    ['a method on health', '/healthz', { method: 'DELETE' }, 405],
    ['no JSON', '/users/a', { method: 'PUT', headers: json, body: '{"data":' }, 400],
    ['an empty body', '/users/a', { method: 'PUT', headers: json, body: '' }, 400],
    ['no body', '/users/a', { method: 'PUT' }, 400],
    ['another type', '/users/a', { method: 'PUT', body: 'data=x' }, 415],
    ['an array', '/users/a', { method: 'PUT', headers: json, body: '[]' }, 400],
    ['a number', '/users/a', { method: 'PUT', headers: json, body: '{"data":1}' }, 400],
    ['null', '/users/a', { method: 'PUT', headers: json, body: 'null' }, 400],
    ['a stranger', '/users/a', { method: 'PUT', headers: json, body: '{"data":"x","b":1}' }, 400],
    [
      'a poisoned body',
      '/users/a',
      { method: 'PUT', headers: json, body: '{"__proto__":{}}' },
      400,
    ],
    [
      'a large body',
      '/users/a',
      { method: 'PUT', headers: json, body: `"${'x'.repeat(70_000)}"` },
      413,
    ],
  ])('is a problem document: %s', async (_, path, init, status) => {
    const answer = await ask(`${url}${path}`, init)
    expect(answer).toMatchObject({
      status,
      contentType: 'application/problem+json; charset=utf-8',
      body: { type: 'about:blank', status, title: expect.any(String), detail: expect.any(String) },
    })
  })

  it('names the methods that are there', async () => {
    const response = await fetch(`${url}/users/a`, { method: 'PATCH' })
    expect(response.headers.get('allow')).toBe('GET, HEAD, PUT')
  })

  it.each([
    ['no HTTP at all', 'HELLO\r\n\r\n', 400],
    ['a header too large', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['a method that nobody knows', 'BREW / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    [
      'two lengths',
      'PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
    ],
  ])('is told on the wire: %s', async (_, bytes, status) => {
    const answer = await raw(url, bytes)
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(answer).toContain('application/problem+json')
  })
})

/** Sends bytes as they are; resolves to all that came back. */
function raw(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    let answer = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk
    })
    socket.once('close', () => resolve(answer))
    socket.once('error', reject)
  })
}
