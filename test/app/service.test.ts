import { connect } from 'node:net'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MemoryUserRepository, type UserRepository } from '../../src/app/index.ts'
import { redisCache } from '../../src/cache/index.ts'
import { freePort } from '../../src/cli/provision/index.ts'
import { until } from '../provision/support.ts'
import { deferred } from '../support/deferred.ts'
import { ask, put, serviceForTest } from './support.ts'
import { inFull } from '../support/full.ts'
import { anyText } from '../support/any-text.ts'

describe('operations', () => {
  it('health and readiness answer, and metrics have a listener of their own', async () => {
    const { url, service, sides } = await serviceForTest()
    sides.set('user_1', 'on')
    await ask(`${url}/users/user_0`)
    await ask(`${url}/users/user_1`)
    expect(await ask(`${url}/healthz`)).toMatchObject({ status: 200, body: { status: 'ok' } })
    expect(await ask(`${url}/readyz`)).toMatchObject({
      status: 200,
      body: { status: 'ok', checks: { flags: { ok: true }, off: { ok: true }, on: { ok: true } } },
    })
    const metrics = await ask(service.metricsUrl)
    expect(metrics.status).toBe(200)
    expect(metrics.contentType).toContain('text/plain')
    expect(metrics.body).toMatch(/switchback_operations_total\{[^}]*side="on"[^}]*\} 1/)
    expect(metrics.body).not.toMatch(/user_[01]/)
    const { origin } = new URL(service.metricsUrl)
    expect((await ask(`${origin}/`)).status).toBe(404)
    expect((await ask(service.metricsUrl, { method: 'POST', body: 'x' })).status).toBe(405)
  })

  it('a side that is gone degrades the service, and every request is still a 200', async () => {
    const on = redisCache({ url: `redis://127.0.0.1:${await freePort()}` })
    const { url, sides } = await serviceForTest({ on })
    for (let i = 0; i < 10; i += 1) {
      sides.set(`user_${i}`, 'on')
      const answer = await ask(`${url}/users/user_${i}`)
      expect(answer).toMatchObject({ status: 200, side: 'on', cache: 'fallback' })
    }
    await until('it is noticed', async () => {
      const { status, body } = await ask(`${url}/readyz`)
      expect(status).toBe(200)
      return (body as { status: string }).status === 'degraded'
    })
    const { body } = await ask(`${url}/readyz`)
    expect(body).toMatchObject({ checks: { on: { ok: false, what: 'redis' }, off: { ok: true } } })
  })

  it('logs each request without its path, its user or a key', async () => {
    const secret = 'secret-4711'
    const { url, log } = await serviceForTest()
    await ask(`${url}/users/${secret}`)
    await ask(`${url}/users/${secret}`, put(`${secret} data`))
    await ask(`${url}/users/${secret}/cache`, { method: 'DELETE' })
    await ask(`${url}/${secret}`)
    await ask(`${url}/users/${secret}%00`)
    const lines = (): Record<string, unknown>[] =>
      log()
        .split('\n')
        .filter((line) => line.includes('"request"'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    await until('five lines', () => lines().length === 5)
    expect(lines()[0]).toMatchObject({
      method: 'GET',
      route: '/users/:id',
      status: 200,
      side: 'off',
      cache: 'miss',
      servedBy: 'origin',
    })
    expect(log()).not.toContain(secret)
  })

  it('a failing origin is a 500 that says nothing of it, and a log that quotes no user', async () => {
    const repository: UserRepository = {
      load: (userId) => Promise.reject(new Error(`no row for ${userId}`)),
      save: () => Promise.resolve(),
    }
    const { url, log } = await serviceForTest({ repository })
    const answer = await ask(`${url}/users/secret-4711`)
    expect(answer).toMatchObject({ status: 500, body: { status: 500 } })
    expect(JSON.stringify(answer.body)).not.toContain('row')
    await until('it is logged', () => log().includes('request failed'))
    expect(log()).not.toContain('secret-4711')
  })

  it('no input makes it fail', async () => {
    const { url } = await serviceForTest()
    const path = fc.oneof(
      anyText({ maxLength: 40 }).map((id) => `/users/${encode(id)}`),
      anyText({ maxLength: 40 }).map((id) => `/users/${encode(id)}/cache`),
      fc.webPath(),
    )
    const body = fc.oneof(
      fc.json(),
      fc.string(),
      fc.record({ data: anyText() }).map((value) => JSON.stringify(value)),
    )
    const method = fc.constantFrom('GET', 'PUT', 'DELETE', 'POST', 'PATCH', 'OPTIONS', 'HEAD')
    await fc.assert(
      fc.asyncProperty(method, path, body, async (method, path, body) => {
        const hasBody = method !== 'GET' && method !== 'HEAD'
        const answer = await ask(`${url}${path}`, {
          method,
          headers: { 'content-type': 'application/json' },
          ...(hasBody ? { body } : {}),
        })
        expect(answer.status).toBeLessThan(500)
        if (answer.status >= 400 && method !== 'HEAD') {
          expect(answer.contentType).toContain('application/problem+json')
        }
      }),
      { numRuns: inFull(38, 150) },
    )
  })
})

describe('the end of the service', () => {
  it('lets requests under way finish, and takes no new connection', async () => {
    const gate = deferred<void>()
    const { url, service, loads } = await serviceForTest({ repository: gated(gate.promise) })
    const slow = fetch(`${url}/users/slow`)
    await until('it is under way', () => loads() === 1)
    const closed = service.close()
    await until('the port is closed', () => refuses(url))
    gate.resolve()
    const answer = await slow
    expect(answer.headers.get('connection')).toBe('close')
    expect(await answer.json()).toMatchObject({ data: 'UserData for slow' })
    await closed
  })

  it('cuts what does not end within the deadline', async () => {
    const never = new Promise<void>(() => {})
    const { url, service, loads } = await serviceForTest({
      repository: gated(never),
      drainMs: 50,
    })
    const stuck = ask(`${url}/users/stuck`)
    const failure = expect(stuck).rejects.toThrow()
    await until('it is under way', () => loads() === 1)
    await service.close()
    await failure
  })
})

function gated(gate: Promise<void>): UserRepository {
  const inner = new MemoryUserRepository({ latencyMs: 0 })
  return {
    load: async (userId) => {
      await gate
      return inner.load(userId)
    },
    save: (userId, data) => inner.save(userId, data),
  }
}

function refuses(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    socket.once('error', () => resolve(true))
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
  })
}

/** As a browser would, whatever the text; half a surrogate pair cannot stand in a URL. */
function encode(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString()).replaceAll('.', '%2E')
}
