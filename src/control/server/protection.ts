import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { quote, SwitchbackError } from '../../errors.ts'
import { RateLimit } from './rate-limit.ts'

export interface ProtectionOptions {
  /** Changes need it; `undefined`: not needed on loopback. */
  readonly token: string | undefined
  /** Host names under which the server may be asked, besides addresses and localhost; no ports. */
  readonly hosts: readonly string[]
}

/** What a browser may do with our pages: run our scripts and styles, talk to us, nothing else. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'cache-control': 'no-store',
}

/** Whether only this machine can reach an address to listen on. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/**
 * Protects the server: only known `Host`s (DNS rebinding needs a name), only our own pages
 * (`Origin`, `Sec-Fetch-Site`), changes only as JSON (which no form can send) and with the token,
 * and a limited rate.
 */
export function protect(app: FastifyInstance, options: ProtectionOptions): void {
  const hosts = new Set(['localhost', ...options.hosts].map((host) => host.toLowerCase()))
  const expected = options.token === undefined ? undefined : digest(options.token)
  const changes = new RateLimit({ burst: 30, perSecond: 1 })
  // A bucket of its own, so that other requests cannot use up the rollback's allowance.
  const rollbacks = new RateLimit({ burst: 10, perSecond: 1 })
  const wrongTokens = new RateLimit({ burst: 5, perSecond: 0.2 })

  app.addHook('onRequest', async (request, reply) => {
    // Before anything can fail: errors need these headers too.
    reply.headers(HEADERS)
    checkHost(request, hosts)
    checkOrigin(request)
    if (request.method === 'GET' || request.method === 'HEAD') return
    checkMedia(request)
    if (expected !== undefined) checkToken(request, expected, wrongTokens)
    const limit = request.url === '/api/rollback' ? rollbacks : changes
    if (!limit.take(request.ip)) throw busy()
  })
}

function checkHost(request: FastifyRequest, hosts: ReadonlySet<string>): void {
  const host = request.headers.host ?? ''
  const match = /^(?:\[([\da-f:.]+)\]|([^:/@\s[\]]+))(?::\d{1,5})?$/i.exec(host)
  const name = (match?.[1] ?? match?.[2] ?? '').toLowerCase()
  if (isIP(name) !== 0 || hosts.has(name)) return
  throw new SwitchbackError('SB_CONTROL_HOST', `the host ${quote(host)} is not served here`, {
    hint: 'open it under the address it listens on, or allow the name with --allow-host',
  })
}

function checkOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers
  const site = request.headers['sec-fetch-site']
  const navigation = request.headers['sec-fetch-mode'] === 'navigate' && request.method === 'GET'
  const foreign =
    site !== undefined &&
    site !== 'same-origin' &&
    site !== 'none' &&
    !(navigation && isPage(request))
  const other = origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`
  if (!foreign && !other) return
  throw new SwitchbackError(
    'SB_CONTROL_ORIGIN',
    `requests from ${quote(origin ?? site)} are refused`,
    {
      hint: 'use the page of this server, or send the request without Origin',
    },
  )
}

/** A link on another site may lead to the page. */
function isPage(request: FastifyRequest): boolean {
  return request.url.split('?', 1)[0] === '/'
}

function checkMedia(request: FastifyRequest): void {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (type === 'application/json') return
  throw new SwitchbackError(
    'SB_CONTROL_MEDIA',
    `a change must be sent as JSON, not ${quote(type)}`,
    {
      hint: 'send the header content-type: application/json',
    },
  )
}

function checkToken(request: FastifyRequest, expected: Buffer, wrong: RateLimit): void {
  if (!wrong.has(request.ip)) throw busy()
  const sent = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  // Digests have one length, so the comparison time does not reveal how much of a guess was right.
  if (sent !== undefined && timingSafeEqual(digest(sent), expected)) return
  if (sent !== undefined) wrong.take(request.ip)
  const what = sent === undefined ? 'changes need the token' : 'the token is wrong'
  throw new SwitchbackError('SB_CONTROL_TOKEN', what, {
    hint: 'send the token that switchback control was started with: authorization: Bearer TOKEN',
  })
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

function busy(): SwitchbackError {
  return new SwitchbackError('SB_CONTROL_BUSY', 'too many requests from this address', {
    hint: 'wait a few seconds; on the machine itself, switchback rollback always works',
  })
}
