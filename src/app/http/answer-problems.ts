import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  type BrokenRequestHandler,
  brokenRequestHandler,
  expectationHandler,
  type OddRequestOptions,
  PROBLEM_CONTENT_TYPE,
} from '../../odd-requests.ts'
import { Problem, problemBody } from './service-problem.ts'

/** Messages of our own where the framework's would reveal internals. */
const DETAILS: Readonly<Record<string, string>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'The body is too large.',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'The body must be application/json.',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'The body is empty; it must be a JSON object.',
  FST_ERR_CTP_INVALID_JSON_BODY: 'The body is not valid JSON.',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'The body is not as long as Content-Length says.',
  FST_ERR_BAD_URL: 'The path is not a valid URL component.',
}

/** Every error is answered with a problem document that reveals no internals. */
export function answerProblems(app: FastifyInstance): void {
  app.setErrorHandler<FastifyError>((error, request, reply) => answerError(error, request, reply))
  app.setNotFoundHandler((_request, reply) => {
    sendProblem(reply, 404, 'This path does not exist.')
  })
}

/** For errors before routing, e.g. a malformed path. */
export function answerError(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const status = error.statusCode ?? 500
  if (status >= 400 && status < 500) {
    sendProblem(reply, status, DETAILS[error.code] ?? error.message)
    return
  }
  request.log.error({ error: describe(error) }, 'request failed')
  sendProblem(reply, 500, 'The service failed to answer; the failure has been logged.')
}

/** Errors that Node would answer without a body. */
export function refuseOddRequests(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const nameless = request.headers.host === undefined && request.raw.httpVersion === '1.1'
    done(nameless ? new Problem(400, 'The request names no host.') : undefined)
  })
  app.server.on('checkExpectation', expectationHandler(ODD))
}

const ODD_DETAILS = {
  broken: 'The request is not valid HTTP.',
  expectation: 'The Expect header of the request cannot be met.',
}

const ODD: OddRequestOptions = {
  headers: { 'Content-Type': PROBLEM_CONTENT_TYPE },
  problem: (status, odd) => problemBody(status, ODD_DETAILS[odd]),
}

/** For bytes that are not HTTP. */
export const answerBrokenRequest: BrokenRequestHandler = brokenRequestHandler(ODD)

export function sendProblem(reply: FastifyReply, status: number, detail: string): void {
  void reply.code(status).type(PROBLEM_CONTENT_TYPE).send(problemBody(status, detail))
}

/** An error for the log: messages may quote keys, so only the stack is kept. */
function describe(error: FastifyError): Readonly<Record<string, unknown>> {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  return { type: error.name, code: error.code, stack: frames.map((line) => line.trim()) }
}
