import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { isSwitchbackError, SwitchbackError } from '../../errors.ts'
import { PROBLEM_CONTENT_TYPE } from '../../odd-requests.ts'

/** The answer to a failed request (RFC 9457), with the code and hint of the error. */
export interface ControlProblemBody {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly detail: string
  /** Stable, e.g. `SB_FLAGS_CHANGED`. */
  readonly code: string
  /** What to do now; `''` when there is nothing to say. */
  readonly hint: string
}

/** Errors caused by another edit or an unusual file, not by a wrong request. */
const CONFLICTS = new Set([
  'SB_FLAGS_CHANGED',
  'SB_FLAGS_INVALID',
  'SB_FLAGS_REFUSED',
  'SB_FLAGS_SYNTAX',
  'SB_FLAGS_TOO_LARGE',
  'SB_FILE_MISSING',
  'SB_FILE_READ_ONLY',
  'SB_FILE_UNREADABLE',
  'SB_FLAG_BROKEN',
  'SB_FLAG_UNKNOWN',
  'SB_GUARD_NOT_ASKING',
  'SB_GUARD_ORDER',
  'SB_LOCK_BUSY',
  'SB_SHAPE_UNKNOWN',
  'SB_SHARE_MOVED',
  'SB_UNDO_CONFLICT',
  'SB_UNDO_NOTHING',
  'SB_UNDO_UNKNOWN',
])

const STATUS_OF: Readonly<Record<string, number>> = {
  SB_SHARE_INVALID: 400,
  SB_CONTROL_HOST: 403,
  SB_CONTROL_ORIGIN: 403,
  SB_CONTROL_TOKEN: 401,
  SB_CONTROL_BUSY: 429,
  SB_CONTROL_MEDIA: 415,
  SB_CONTROL_NOT_FOUND: 404,
  SB_CONTROL_METHOD: 405,
}

export function httpStatusOf(error: unknown): number {
  if (isSwitchbackError(error)) {
    return STATUS_OF[error.code] ?? (CONFLICTS.has(error.code) ? 409 : 500)
  }
  const status = (error as Partial<FastifyError> | undefined)?.statusCode
  return status !== undefined && status >= 400 && status < 500 ? status : 500
}

export function httpProblemOf(error: unknown): ControlProblemBody {
  const status = httpStatusOf(error)
  const own = isSwitchbackError(error)
  const message = error instanceof Error ? error.message : ''
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    // Internal details belong in the log only.
    detail: own || status < 500 ? message : 'internal error of the control page',
    code: own ? error.code : status < 500 ? 'SB_CONTROL_REQUEST' : 'SB_CONTROL_INTERNAL',
    hint: own ? (error.hint ?? '') : '',
  }
}

export function sendControlProblem(error: unknown, reply: FastifyReply): FastifyReply {
  const problem = httpProblemOf(error)
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="switchback"')
  if (problem.status === 429) reply.header('retry-after', '5')
  return reply.code(problem.status).header('content-type', PROBLEM_CONTENT_TYPE).send(problem)
}

/** Every error and every unknown address of the server is answered with a problem. */
export function answerControlProblems(app: FastifyInstance): void {
  app.setErrorHandler((error, _request, reply) => sendControlProblem(error, reply))
  app.setNotFoundHandler((request: FastifyRequest, reply) => {
    const known = ['GET', 'POST'].find(
      (method) =>
        method !== request.method &&
        app.hasRoute({ method: method as 'GET', url: request.url.split('?', 1)[0] ?? '' }),
    )
    if (known !== undefined) reply.header('allow', known)
    return sendControlProblem(
      known === undefined
        ? new SwitchbackError('SB_CONTROL_NOT_FOUND', 'this address does not exist', {
            hint: 'see /openapi.json',
          })
        : new SwitchbackError('SB_CONTROL_METHOD', `this address takes ${known} only`, {
            hint: 'see /openapi.json',
          }),
      reply,
    )
  })
}
