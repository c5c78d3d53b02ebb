import { fastify, LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { CacheSwitch } from '../switch/index.ts'
import {
  answerBrokenRequest,
  answerError,
  answerProblems,
  refuseOddRequests,
} from './http/answer-problems.ts'
import { readinessOf } from './http/readiness.ts'
import { tracedCache } from './http/request-scope.ts'
import { reportRequests } from './http/request-report.ts'
import { resource } from './http/resource.ts'
import type { UserRepository } from './users/user-repository.ts'
import { userRoutes } from './users/user-routes.ts'
import { Users } from './users/cached-users.ts'

export interface AppOptions {
  readonly cache: CacheSwitch
  readonly repository: UserRepository
  readonly logger: FastifyBaseLogger
  /** Whether the service is stopping. @default never */
  readonly draining?: () => boolean
}

/** Larger bodies are answered with 413. In bytes. */
const BODY_LIMIT = 64 * 1024
/** How long a request may take to arrive; later it is answered with 408. */
const REQUEST_TIMEOUT_MS = 30_000

/** The HTTP service, not yet listening. */
export function createApp(options: AppOptions): FastifyInstance {
  const { cache, repository, logger, draining = () => false } = options
  const app = fastify({
    loggerInstance: logger,
    // The framework's own log lines contain the path, and the path contains the user.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    // The framework's default is no limit: a caller that never ends its request would keep its
    // connection.
    requestTimeout: REQUEST_TIMEOUT_MS,
    // User ids are measured by us: a longer one deserves a 400 that says so, not a 404.
    routerOptions: { maxParamLength: 64 * 1024 },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    // A request on a connection that is already open is served; `Connection: close` ends it after.
    return503OnClosing: false,
    // Node would answer it itself, and not with a problem document.
    http: { requireHostHeader: false },
    frameworkErrors: answerError,
    clientErrorHandler: answerBrokenRequest,
  })
  app.removeContentTypeParser('text/plain')
  answerProblems(app)
  refuseOddRequests(app)
  endConnections(app, draining)
  reportRequests(app)
  userRoutes(app, new Users(tracedCache(cache), repository))
  resource(app, '/healthz', { GET: () => ({ status: 'ok' }) })
  resource(app, '/readyz', { GET: () => readinessOf(cache.health()) })
  return app
}

/** While draining, a connection ends with its current answer. */
function endConnections(app: FastifyInstance, draining: () => boolean): void {
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (draining()) reply.header('connection', 'close')
    done(null, payload)
  })
}
