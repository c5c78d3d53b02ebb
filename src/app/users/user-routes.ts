import type { FastifyInstance, FastifyRequest } from 'fastify'
import { resource } from '../http/resource.ts'
import { asUser, type CacheTrace } from '../http/request-scope.ts'
import { userIdOf } from './user-id.ts'
import type { Users } from './cached-users.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What the cache did for this request. */
    cacheTrace: CacheTrace | undefined
  }
}

const SAVE = {
  body: {
    type: 'object',
    required: ['data'],
    additionalProperties: false,
    properties: { data: { type: 'string', minLength: 1 } },
  },
} as const

export function userRoutes(app: FastifyInstance, users: Users): void {
  app.decorateRequest('cacheTrace', undefined)
  // Set after the body was read: its events come from the socket and would lose the context.
  app.addHook('preHandler', (request, _reply, done) => {
    const userId = idOf(request)
    if (userId === undefined) {
      done()
      return
    }
    request.cacheTrace = { operation: undefined }
    asUser(userId, request.cacheTrace, done)
  })
  resource(
    app,
    '/users/:id',
    {
      GET: async (request) => {
        const id = userIdOf(idOf(request))
        return { id, data: await users.processUserData(id) }
      },
      PUT: async (request) => {
        const id = userIdOf(idOf(request))
        const { data } = request.body as { readonly data: string }
        await users.save(id, data)
        return { id, data }
      },
    },
    { PUT: SAVE },
  )
  resource(app, '/users/:id/cache', {
    DELETE: async (request) => {
      const id = userIdOf(idOf(request))
      return { id, deleted: await users.forget(id) }
    },
  })
}

function idOf(request: FastifyRequest): string | undefined {
  return (request.params as { readonly id?: string }).id
}
