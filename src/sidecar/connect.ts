import { ResolveError } from './resolve-error.ts'
import type { Evaluator } from './evaluator.ts'
import type { Answer, ErrorCode } from './flag-set.ts'
import { readBody, refuse, sendJson } from './http.ts'
import type { HttpHandler } from './http.ts'
import { isObject, parseJson } from './json.ts'
import type { JsonObject } from './json.ts'
import { VALUE_TYPES } from './protocol.ts'
import type { ValueTypeName } from './protocol.ts'

const PATH = /^\/flagd\.evaluation\.v[12]\.Service\/Resolve(\w+)$/

/** Connect's names and HTTP statuses for flagd's gRPC codes. */
const ERRORS: Readonly<Record<ErrorCode, readonly [code: string, httpStatus: number]>> = {
  FLAG_NOT_FOUND: ['not_found', 404],
  TYPE_MISMATCH: ['invalid_argument', 400],
  PARSE_ERROR: ['data_loss', 500],
  GENERAL: ['unknown', 500],
}

export interface ConnectOptions {
  readonly evaluator: Evaluator
  /** Largest request body in bytes. */
  readonly maxRequestBytes: number
}

/**
 * The single-flag RPCs as HTTP/1 and JSON, for `curl` and scripts. Of Connect, flagd also speaks
 * `ResolveAll`, streams, HTTP/2, GET and binary messages, which the sidecar leaves to gRPC.
 */
export function connectHandler({ evaluator, maxRequestBytes }: ConnectOptions): HttpHandler {
  return async (request, response) => {
    const type = PATH.exec(request.url ?? '')?.[1] ?? ''
    if (!Object.hasOwn(VALUE_TYPES, type)) {
      return refuse(response, 404, { code: 'unimplemented', message: 'not found' })
    }
    if (request.method !== 'POST') {
      return refuse(response, 405, { code: 'unimplemented', message: 'use POST' })
    }
    // As flagd: a request that it would refuse should not work here.
    if (!/^application\/json\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
      return refuse(response, 415, {
        code: 'unknown',
        message: 'use content-type application/json',
      })
    }
    const text = await readBody(request, maxRequestBytes)
    if (text === undefined) {
      return refuse(response, 413, { code: 'resource_exhausted', message: 'the body is too large' })
    }
    const call = parse(text)
    if (!call) {
      return refuse(response, 400, { code: 'invalid_argument', message: 'the body is no request' })
    }
    try {
      const answer = evaluator.resolve(type as ValueTypeName, call.flagKey, call.context)
      // A connection is not kept: it is not tracked here, and the close of the sidecar would wait.
      sendJson(response, 200, body(type, answer), { connection: 'close' })
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error
      const [code, httpStatus] = ERRORS[error.errorCode]
      refuse(response, httpStatus, { code, message: error.message })
    }
  }
}

function body(type: string, { value, reason, variant, metadata }: Answer): object {
  if (value === undefined) return { reason, metadata }
  // 64-bit integers are strings in protobuf's JSON.
  return { value: type === 'Int' ? String(value) : value, reason, variant, metadata }
}

function parse(text: string): { flagKey: string; context: JsonObject } | undefined {
  try {
    const parsed = text.trim() === '' ? {} : parseJson(text)
    if (!isObject(parsed)) return undefined
    const { flagKey = '', context } = parsed
    if (typeof flagKey !== 'string') return undefined
    if (context === undefined || context === null) return { flagKey, context: {} }
    return isObject(context) ? { flagKey, context } : undefined
  } catch {
    return undefined
  }
}
