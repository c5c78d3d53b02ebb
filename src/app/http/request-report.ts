import type { FastifyInstance } from 'fastify'
import type { OperationInfo } from '../../switch/index.ts'

/**
 * The report of each request: headers for the caller (which side served it and how) and one log
 * line. Neither contains the path, the user or a key.
 */
export function reportRequests(app: FastifyInstance): void {
  app.addHook('onSend', (request, reply, payload, done) => {
    const operation = request.cacheTrace?.operation
    if (operation !== undefined) {
      reply.header('x-switchback-side', operation.side)
      reply.header('x-switchback-cache', cacheWord(operation))
      reply.header('x-switchback-served-by', operation.servedBy)
    }
    done(null, payload)
  })
  app.addHook('onResponse', (request, reply, done) => {
    const operation = request.cacheTrace?.operation
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url ?? 'none',
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        ...(operation === undefined
          ? {}
          : { side: operation.side, cache: cacheWord(operation), servedBy: operation.servedBy }),
      },
      'request',
    )
    done()
  })
}

/** `fallback` covers all the ways in which the picked side did not serve. */
function cacheWord({ outcome }: OperationInfo): string {
  if (outcome === 'failed' || outcome === 'timed_out' || outcome === 'fell_back') return 'fallback'
  return outcome
}
