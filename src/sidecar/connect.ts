import { status } from '@grpc/grpc-js'
import type { Evaluator } from './evaluation-service.ts'
import { ResolveError } from './evaluation-service.ts'
import { readBody, sendJson } from './http.ts'
import type { HttpHandler } from './http.ts'
import { VALUE_TYPES } from './protocol.ts'
import type { ValueTypeName } from './protocol.ts'
import type { JsonObject } from './struct.ts'

const PATH = /^\/flagd\.evaluation\.v[12]\.Service\/Resolve(\w+)$/

/** Connect's error names and HTTP statuses. */
const ERRORS: Partial<Record<status, readonly [code: string, httpStatus: number]>> = {
  [status.NOT_FOUND]: ['not_found', 404],
  [status.INVALID_ARGUMENT]: ['invalid_argument', 400],
  [status.DATA_LOSS]: ['data_loss', 500],
  [status.UNKNOWN]: ['unknown', 500],
}

/** The unary RPCs as plain HTTP and JSON, for `curl` and scripts. Streams are gRPC only. */
export function connectHandler(evaluator: Evaluator, maxBodyBytes: number): HttpHandler {
  return async (request, response) => {
    const type = PATH.exec(request.url ?? '')?.[1] ?? ''
    if (!Object.hasOwn(VALUE_TYPES, type)) {
      return sendJson(response, 404, { code: 'unimplemented', message: '404 Not Found' })
    }
    if (request.method !== 'POST') {
      return sendJson(
        response,
        405,
        { code: 'unimplemented', message: 'use POST' },
        { allow: 'POST' },
      )
    }
    const body = await readBody(request, maxBodyBytes)
    if (!body.ok) {
      const code = body.status === 413 ? 'resource_exhausted' : 'invalid_argument'
      return sendJson(response, body.status, {
        code,
        message: 'the body is too large or was cut off',
      })
    }
    const call = parse(body.text)
    if (!call) {
      return sendJson(response, 400, {
        code: 'invalid_argument',
        message: 'the body is not a request',
      })
    }
    try {
      const answer = evaluator.resolve(type as ValueTypeName, call.flagKey, call.context)
      const { value, reason, variant, metadata } = answer
      // protojson writes 64-bit integers as strings.
      sendJson(response, 200, {
        value: type === 'Int' && value !== undefined ? String(value) : value,
        reason,
        ...(variant === '' ? {} : { variant }),
        metadata,
      })
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error
      const [code, httpStatus] = ERRORS[error.code] ?? ['internal', 500]
      sendJson(response, httpStatus, { code, message: error.message })
    }
  }
}

function parse(text: string): { flagKey: string; context: JsonObject } | undefined {
  try {
    const parsed = JSON.parse(text, (key, value: unknown) =>
      key === '__proto__' ? undefined : value,
    ) as { flagKey?: unknown; context?: unknown } | null
    const { flagKey = '', context = {} } = parsed ?? {}
    if (typeof flagKey !== 'string' || typeof context !== 'object') return undefined
    return { flagKey, context: (context ?? {}) as JsonObject }
  } catch {
    return undefined
  }
}
