import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ErrorCode, Resolution } from './flag-set.ts'
import type { FlagStore } from './flag-store.ts'
import { readBody, refuse, sendJson } from './http.ts'
import type { HttpHandler } from './http.ts'
import { isObject, parseJson } from './json.ts'
import type { JsonObject } from './json.ts'

const FLAGS = '/ofrep/v1/evaluate/flags'

export interface OfrepOptions {
  readonly store: FlagStore
  /** Largest request body in bytes. */
  readonly maxRequestBytes: number
}

/** OpenFeature's Remote Evaluation Protocol, answered as flagd answers it. */
export function ofrepHandler({ store, maxRequestBytes }: OfrepOptions): HttpHandler {
  return async (request, response) => {
    const target = targetOf(request.url ?? '')
    if (!target) return refuse(response, 404, { errorDetails: 'not found' })
    if (request.method !== 'POST') return refuse(response, 405, { errorDetails: 'use POST' })
    const text = await readBody(request, maxRequestBytes)
    if (text === undefined) return refuse(response, 413, invalidContext(target))
    const context = contextOf(text)
    if (!context) return sendJson(response, 400, invalidContext(target))
    if (target.key === undefined) return bulk(request, response, store, context)
    const { status, body } = single(target.key, store.current.asking(context)(target.key))
    sendJson(response, status, body)
  }
}

interface Target {
  /** `undefined`: all flags. */
  readonly key?: string
}

function targetOf(url: string): Target | undefined {
  const path = url.split('?', 1)[0] as string
  if (path === FLAGS || path === `${FLAGS}/`) return {}
  if (!path.startsWith(`${FLAGS}/`)) return undefined
  try {
    return { key: decodeURIComponent(path.slice(FLAGS.length + 1)) }
  } catch {
    return undefined
  }
}

/** flagd takes an empty body, and a context that is no object, for an empty context. */
function contextOf(text: string): JsonObject | undefined {
  if (text.trim() === '') return {}
  try {
    const parsed = parseJson(text)
    if (parsed === null) return {}
    if (!isObject(parsed)) return undefined
    return isObject(parsed['context']) ? parsed['context'] : {}
  } catch {
    return undefined
  }
}

function invalidContext(target: Target): object {
  const error = { errorCode: 'INVALID_CONTEXT', errorDetails: 'Provider context is not valid' }
  return { ...target, ...error, metadata: null }
}

function single(key: string, resolution: Resolution): { status: number; body: object } {
  const { metadata } = resolution
  if ('errorCode' in resolution) return failure(key, resolution.errorCode, metadata)
  const { value, reason, variant } = resolution
  if (value === undefined) return { status: 200, body: { key, reason, metadata } }
  // A variant may be null in the file; flagd has no answer for it.
  if (value === null) return failure(key, 'GENERAL', metadata)
  return { status: 200, body: { value, key, reason, variant, metadata } }
}

function failure(
  key: string,
  errorCode: ErrorCode,
  metadata: JsonObject,
): { status: number; body: object } {
  const status = errorCode === 'FLAG_NOT_FOUND' ? 404 : 400
  return { status, body: { key, errorCode, errorDetails: details(errorCode, key), metadata } }
}

function details(errorCode: ErrorCode, key: string): string {
  if (errorCode === 'FLAG_NOT_FOUND') return `flag \`${key}\` does not exist`
  if (errorCode === 'PARSE_ERROR') return `error parsing the flag \`${key}\``
  return 'error processing the flag for evaluation'
}

function bulk(
  request: IncomingMessage,
  response: ServerResponse,
  store: FlagStore,
  context: JsonObject,
): void {
  const { keys, metadata, asking } = store.current
  const resolve = asking(context)
  const body = { flags: keys.map((key) => single(key, resolve(key)).body), metadata }
  // Of the answer and not of the file, since the answer is this context's own.
  const etag = `"${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}"`
  if (request.headers['if-none-match']?.includes(etag)) {
    response.writeHead(304, { etag }).end()
  } else {
    sendJson(response, 200, body, { etag })
  }
}
