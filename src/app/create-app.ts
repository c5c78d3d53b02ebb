import { fastify, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { CacheSwitch } from '../switch/index.ts'
import { answerBrokenRequest, answerError, answerProblems } from './errors.ts'
import { readinessOf } from './readiness.ts'
import { carryUsers, tracedCache } from './request-scope.ts'
import { reportRequests } from './request-report.ts'
import { resource } from './resource.ts'
import type { UserRepository } from './user-repository.ts'
import { userRoutes } from './user-routes.ts'
import { Users } from './users.ts'

export interface AppOptions {
  readonly cache: CacheSwitch
  readonly repository: UserRepository
  readonly logger: FastifyBaseLogger
  /** Whether the service is on its way out. @default never */
  readonly draining?: () => boolean
}

/** Larger bodies are answered with 413. In bytes. */
const BODY_LIMIT = 64 * 1024

/** The HTTP service, not yet listening. */
export function createApp(options: AppOptions): FastifyInstance {
  const { cache, repository, logger, draining = () => false } = options
  carryUsers()
  const app = fastify({
    loggerInstance: logger,
    // The framework's own lines hold the path, and the path holds the user.
    disableRequestLogging: true,
    bodyLimit: BODY_LIMIT,
    // Ids are measured by us: a longer one deserves a 400 that says so, not a 404.
    routerOptions: { maxParamLength: 64 * 1024 },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    // A request on a connection that is already open is served; `Connection: close` ends it after.
    return503OnClosing: false,
    frameworkErrors: answerError,
    clientErrorHandler: answerBrokenRequest,
  })
  answerProblems(app)
  reportRequests(app)
  userRoutes(app, new Users(tracedCache(cache), repository))
  resource(app, '/healthz', { GET: () => ({ status: 'ok' }) })
  resource(app, '/readyz', {
    GET: (_request, reply) => {
      const readiness = readinessOf(cache.health(), draining())
      return reply.code(readiness.status === 'draining' ? 503 : 200).send(readiness)
    },
  })
  return app
}
