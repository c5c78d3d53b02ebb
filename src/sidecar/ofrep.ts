import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FlagStore } from './flag-store.ts'
import type { ErrorCode, Resolution } from './flag-set.ts'
import { readBody, sendJson } from './http.ts'
import type { HttpHandler } from './http.ts'
import type { JsonObject } from './struct.ts'

const BULK = '/ofrep/v1/evaluate/flags'

export interface OfrepOptions {
  readonly store: FlagStore
  /** Largest request body in bytes. */
  readonly maxBodyBytes: number
}

/** OpenFeature's Remote Evaluation Protocol, answered as flagd answers it. */
export function ofrepHandler({ store, maxBodyBytes }: OfrepOptions): HttpHandler {
  return async (request, response) => {
    const target = targetOf(request.url ?? '')
    if (target === undefined) return sendJson(response, 404, { errorDetails: 'not found' })
    if (request.method !== 'POST') {
      return sendJson(response, 405, { errorDetails: 'use POST' }, { allow: 'POST' })
    }
    const context = await contextOf(request, maxBodyBytes)
    if ('status' in context) {
      const { status, errorDetails } = context
      const error = { errorCode: 'INVALID_CONTEXT', errorDetails }
      return sendJson(
        response,
        status,
        target.key === undefined ? error : { key: target.key, ...error },
      )
    }
    if (target.key === undefined) return bulk(request, response, store, context.value)
    const { status, body } = single(target.key, store.current.resolve(target.key, context.value))
    sendJson(response, status, body)
  }
}

interface Target {
  /** `undefined`: all flags. */
  readonly key: string | undefined
}

function targetOf(url: string): Target | undefined {
  const path = url.split('?', 1)[0] as string
  if (path === BULK || path === `${BULK}/`) return { key: undefined }
  if (!path.startsWith(`${BULK}/`)) return undefined
  try {
    return { key: decodeURIComponent(path.slice(BULK.length + 1)) }
  } catch {
    return undefined
  }
}

type ContextResult =
  | { readonly value: JsonObject }
  | { readonly status: number; readonly errorDetails: string }

async function contextOf(request: IncomingMessage, limit: number): Promise<ContextResult> {
  const body = await readBody(request, limit)
  if (!body.ok) {
    const errorDetails = body.status === 413 ? `body exceeds ${limit} bytes` : 'body was cut off'
    return { status: body.status, errorDetails }
  }
  if (body.text.trim() === '') return { value: {} }
  try {
    const parsed: unknown = JSON.parse(body.text, dropPrototype)
    if (!isObject(parsed)) return { status: 400, errorDetails: 'body is not a JSON object' }
    const context = parsed['context'] ?? {}
    if (!isObject(context)) return { status: 400, errorDetails: 'context is not a JSON object' }
    return { value: context }
  } catch {
    return { status: 400, errorDetails: 'body is not JSON' }
  }
}

function dropPrototype(key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const ERROR_STATUS: Record<ErrorCode, number> = {
  FLAG_NOT_FOUND: 404,
  PARSE_ERROR: 400,
  TYPE_MISMATCH: 400,
  GENERAL: 400,
}

function single(key: string, resolution: Resolution): { status: number; body: object } {
  const { metadata } = resolution
  if (resolution.ok) {
    const { value, reason, variant } = resolution
    const body =
      value === undefined ? { key, reason, metadata } : { value, key, reason, variant, metadata }
    return { status: 200, body }
  }
  const { errorCode } = resolution
  const body = { key, errorCode, errorDetails: details(errorCode, key), metadata }
  return { status: ERROR_STATUS[errorCode], body }
}

function details(errorCode: ErrorCode, key: string): string {
  switch (errorCode) {
    case 'FLAG_NOT_FOUND':
      return `flag \`${key}\` does not exist`
    case 'PARSE_ERROR':
      return `error parsing the flag \`${key}\``
    case 'TYPE_MISMATCH':
      return `type mismatch of the flag \`${key}\``
    case 'GENERAL':
      return `error processing the flag \`${key}\` for evaluation`
  }
}

function bulk(
  request: IncomingMessage,
  response: ServerResponse,
  store: FlagStore,
  context: JsonObject,
): void {
  const { keys, metadata, resolve } = store.current
  const flags = keys.map((key) => single(key, resolve(key, context)).body)
  const text = JSON.stringify({ flags, metadata })
  const etag = `"${createHash('sha256').update(text).digest('base64url')}"`
  if (matches(request.headers['if-none-match'], etag)) {
    response.writeHead(304, { etag }).end()
  } else {
    sendJson(response, 200, { flags, metadata }, { etag })
  }
}

function matches(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((item) => item.trim().replace(/^W\//, '') === etag)
}
