import type { FastifyInstance } from 'fastify'
import type { AuditLine } from '../audit-line.ts'
import { httpProblemOf } from './control-problem.ts'

/** Reports each request that would change something, refused ones too. */
export function audit(app: FastifyInstance, tell: (line: AuditLine) => void): void {
  const outcomes = new WeakMap<object, string>()
  const askers = new WeakMap<object, string>()
  // If the client disconnects first, the remote address is no longer available.
  app.addHook('onRequest', async (request) => {
    askers.set(request, request.ip)
  })
  app.addHook('onError', async (request, _reply, error) => {
    outcomes.set(request, httpProblemOf(error).code)
  })
  app.addHook('onResponse', async (request, reply) => {
    const action = request.routeOptions.url ?? '(nothing)'
    if (request.method === 'GET' || request.method === 'HEAD' || action === '/api/preview') return
    const body = request.body as { who?: unknown } | null | undefined
    const status = reply.statusCode
    tell({
      at: new Date().toISOString(),
      from: askers.get(request) ?? request.ip,
      who: typeof body?.who === 'string' ? plain(body.who) : '',
      action,
      status,
      outcome: outcomes.get(request) ?? (status < 400 ? 'done' : 'refused'),
      ms: Math.round(reply.elapsedTime),
    })
  })
}

/** A name that may have been refused itself: one line, limited in length. */
function plain(name: string): string {
  return name.replaceAll(/\p{C}/gu, ' ').slice(0, 64).trim()
}
