import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FlagStore } from '../flags/flag-store.ts'
import type { FlagView } from '../flags/flag-view.ts'
import { goJson } from '../../flagfile/index.ts'
import {
  allowedCrossOrigin,
  badRequest,
  closeAfter,
  JSON_TYPE,
  notFound,
  readBody,
  refuseRequest,
  send,
} from './http.ts'
import type { HttpHandler } from './http.ts'
import { decodeFlags, isObject } from '../../flagfile/index.ts'
import type { JsonObject, JsonValue } from '../../flagfile/index.ts'
import { contextOfBody } from './request-context.ts'
import { requestPath } from './request-path.ts'
import { resolve, resolveAll } from '../resolve.ts'
import type { ErrorCode, Resolution } from '../resolve.ts'
import { parseFlagSelector, SELECTOR_HEADER, SelectorError } from '../flags/flag-selector.ts'

const FLAGS = '/ofrep/v1/evaluate/flags'

export interface OfrepHandlerOptions {
  readonly store: FlagStore
  /** Largest request body in bytes. */
  readonly maxRequestBytes: number
}

/** OpenFeature's Remote Evaluation Protocol, answered as flagd does. */
export function ofrepHandler({ store, maxRequestBytes }: OfrepHandlerOptions): HttpHandler {
  return async (request, response) => {
    const target = requestPath(request.url ?? '')
    if (target.kind === 'bad') return badRequest(response)
    if (allowedCrossOrigin(request, response)) return
    if (target.kind === 'moved')
      return refuseRequest(response, 301, '', { location: target.location })
    const question = questionOf(target.path)
    if (question === undefined) return notFound(response)
    if (request.method !== 'POST') return refuseRequest(response, 405)
    const context = await contextOf(request, response, maxRequestBytes, question)
    if (context === undefined) return
    const view = viewOf(store, request)
    if (typeof view === 'string') return reply(response, 400, failure(question, 'GENERAL', view))
    if (question.key === undefined) return reply(response, 200, bulk(view, context))
    const { status, body } = single(question.key, resolve(view, question.key, 'Any', context))
    reply(response, status, body)
  }
}

/** The members of a body, in the order in which they are sent. */
type Body = readonly (readonly [name: string, value: JsonValue | undefined])[]

interface Question {
  /** `undefined`: all flags. */
  readonly key: string | undefined
}

function questionOf(path: string): Question | undefined {
  if (path === FLAGS || path === `${FLAGS}/`) return { key: undefined }
  if (!path.startsWith(`${FLAGS}/`)) return undefined
  const key = path.slice(FLAGS.length + 1)
  return key.includes('/') ? undefined : { key }
}

/** `undefined`: the reason was answered already. */
async function contextOf(
  request: IncomingMessage,
  response: ServerResponse,
  limit: number,
  question: Question,
): Promise<JsonObject | undefined> {
  const body = await readBody(request, limit)
  if (body === undefined) {
    response.destroy()
    return undefined
  }
  const context = contextOfBody(decodeFlags(body.bytes))
  if (body.cut) closeAfter(response)
  if (isObject(context)) return context
  if (body.cut && context !== 'invalid') {
    reply(response, 413, [['errorDetails', 'request body too large']])
    return undefined
  }
  if (context === 'blank') return {}
  const details = 'Provider context is not valid'
  reply(response, 400, failure(question, 'INVALID_CONTEXT', details))
  return undefined
}

function viewOf(store: FlagStore, request: IncomingMessage): FlagView | string {
  try {
    return store.view(parseFlagSelector(request.headersDistinct[SELECTOR_HEADER]?.[0]))
  } catch (error) {
    if (error instanceof SelectorError) return `invalid selector: ${error.message}`
    throw error
  }
}

function failure(
  { key }: Question,
  errorCode: string,
  errorDetails: string,
  metadata: JsonObject | null = null,
): Body {
  return [
    ['key', key],
    ['errorCode', errorCode],
    ['errorDetails', errorDetails],
    ['metadata', metadata],
  ]
}

function single(key: string, resolution: Resolution): { status: number; body: Body } {
  const { value, variant, reason, metadata, error } = resolution
  if (error !== undefined) {
    // OFREP accepts any type: a value that is null, or not of the default's type, is an error of
    // flagd's own.
    const code = error === 'TYPE_MISMATCH' ? 'GENERAL' : error
    const status = code === 'FLAG_NOT_FOUND' ? 404 : 400
    return { status, body: failure({ key }, code, details(code, key), metadata) }
  }
  const disabled = reason === 'DISABLED'
  const body: Body = [
    ['value', disabled ? undefined : value],
    ['key', key],
    ['reason', reason],
    ['variant', disabled || variant === '' ? undefined : variant],
    ['metadata', metadata],
  ]
  return { status: 200, body }
}

function details(errorCode: ErrorCode, key: string): string {
  if (errorCode === 'FLAG_NOT_FOUND') return `flag \`${key}\` does not exist`
  if (errorCode === 'PARSE_ERROR') return `error parsing the flag \`${key}\``
  return 'error processing the flag for evaluation'
}

function bulk(view: FlagView, context: JsonObject): string {
  const flags = resolveAll(view, context).map(([key, resolution]) => {
    return textOfBody(single(key, resolution).body)
  })
  return `{"flags":[${flags.join(',')}],"metadata":${goJson(view.selector.metadata)}}`
}

function reply(response: ServerResponse, status: number, body: Body | string): void {
  send(response, status, typeof body === 'string' ? body : textOfBody(body), JSON_TYPE)
}

function textOfBody(body: Body): string {
  const members = body.flatMap(([name, value]) => {
    return value === undefined ? [] : [`"${name}":${goJson(value)}`]
  })
  return `{${members.join(',')}}`
}
