import type { FastifyInstance, HTTPMethods, RouteHandlerMethod } from 'fastify'
import { sendProblem } from './answer-problems.ts'

const METHODS: readonly HTTPMethods[] = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT']

/**
 * A path with its handlers; every other method is answered with a 405 that names the right ones.
 */
export function resource(
  app: FastifyInstance,
  url: string,
  handlers: Readonly<Record<string, RouteHandlerMethod>>,
  schemas: Readonly<Record<string, object>> = {},
): void {
  const allowed = Object.keys(handlers).flatMap((name) =>
    name === 'GET' ? [name, 'HEAD'] : [name],
  )
  for (const [method, handler] of Object.entries(handlers)) {
    app.route({ method: method as HTTPMethods, url, handler, schema: schemas[method] ?? {} })
  }
  app.route({
    method: METHODS.filter((method) => !allowed.includes(method)),
    url,
    handler: (request, reply) => {
      reply.header('allow', allowed.join(', '))
      sendProblem(reply, 405, `${request.method} is not allowed here.`)
      return reply
    },
  })
}
