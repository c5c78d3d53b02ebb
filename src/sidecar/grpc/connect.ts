import { status } from '@grpc/grpc-js'
import { EvaluationError, spoken } from '../evaluation-calls.ts'
import type { EvaluationCalls, ResolveRequest, Version } from '../evaluation-calls.ts'
import { skipBlanks } from '../../flagfile/index.ts'
import { endOfValue, membersOf } from '../http/first-json-value.ts'
import {
  allowedCrossOrigin,
  closeAfter,
  notFound,
  readBody,
  refuseRequest,
  send,
  sendJson,
} from '../http/http.ts'
import type { HttpHandler } from '../http/http.ts'
import { decodeFlags, isObject } from '../../flagfile/index.ts'
import type { JsonObject, JsonValue } from '../../flagfile/index.ts'
import { evaluationV1, evaluationV2, VALUE_TYPES } from './protocol.ts'
import type { ValueTypeName } from './protocol.ts'
import { decoded } from '../http/request-context.ts'
import { SELECTOR_HEADER } from '../flags/flag-selector.ts'
import { fromStruct, toStruct } from './struct.ts'
import type { Struct } from './struct.ts'

const PATH = /^\/flagd\.evaluation\.(v[12])\.Service\/Resolve(\w+)$/

/** Connect's names and HTTP statuses for flagd's gRPC codes. */
const ERRORS: Readonly<Partial<Record<status, readonly [code: string, httpStatus: number]>>> = {
  [status.NOT_FOUND]: ['not_found', 404],
  [status.INVALID_ARGUMENT]: ['invalid_argument', 400],
  [status.RESOURCE_EXHAUSTED]: ['resource_exhausted', 429],
  [status.DATA_LOSS]: ['data_loss', 500],
  [status.UNKNOWN]: ['unknown', 500],
}

export interface ConnectOptions {
  readonly evaluation: EvaluationCalls
  /** Largest request body in bytes. */
  readonly maxRequestBytes: number
}

/**
 * The unary RPCs by the Connect protocol over HTTP/1, as JSON and as protobuf. Of Connect, flagd
 * also supports streams, HTTP/2 and gRPC-Web, which the sidecar leaves to gRPC.
 */
export function connectHandler({ evaluation, maxRequestBytes }: ConnectOptions): HttpHandler {
  return async (request, response) => {
    if (allowedCrossOrigin(request, response)) return
    const path = (request.url ?? '').split('?', 1)[0] as string
    const [, version, method = ''] = PATH.exec(path) ?? []
    if (!isVersion(version) || !isMethod(version, method)) return notFound(response)
    if (request.method !== 'POST') return refuseRequest(response, 405, '', { allow: 'POST' })
    const type = (request.headers['content-type'] ?? '').toLowerCase()
    const codec = codecOf(type)
    if (codec === undefined) return refuseRequest(response, 415, '', { 'accept-post': ACCEPTED })
    const body = await readBody(request, maxRequestBytes)
    if (body === undefined) return void response.destroy()
    if (body.cut) closeAfter(response)
    try {
      if (body.cut) throw new EvaluationError(status.RESOURCE_EXHAUSTED, tooLarge(maxRequestBytes))
      const protocol = request.headers['connect-protocol-version']
      if (protocol !== undefined && protocol !== '1') {
        const problem = `Connect-Protocol-Version must be "1": got ${JSON.stringify(protocol)}`
        throw new EvaluationError(status.INVALID_ARGUMENT, problem)
      }
      const call = codec.read(version, method, body.bytes)
      const selector = request.headersDistinct[SELECTOR_HEADER]?.[0]
      const answer = codec.answer(evaluation, { version, method, call, selector })
      send(response, 200, answer, { 'content-type': type })
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error
      const [code, httpStatus] = ERRORS[error.code] ?? ['internal', 500]
      sendJson(response, httpStatus, { code, message: error.message })
    }
  }
}

interface Call {
  readonly version: Version
  readonly method: string
  readonly call: ResolveRequest
  readonly selector: string | undefined
}

interface Codec {
  /** @throws EvaluationError */
  read(version: Version, method: string, bytes: Buffer): ResolveRequest
  /** @throws EvaluationError */
  answer(evaluation: EvaluationCalls, call: Call): string | Buffer
}

const ACCEPTED = 'application/json, application/json; charset=utf-8, application/proto'

function codecOf(type: string): Codec | undefined {
  if (/^application\/json\s*(;\s*charset=utf-8\s*)?$/.test(type)) return json
  return type === 'application/proto' ? proto : undefined
}

const json: Codec = {
  read(_version, _method, bytes) {
    return parse(decodeFlags(bytes))
  },
  answer(evaluation, { version, method, call, selector }) {
    if (method === 'All')
      return JSON.stringify(allOf(evaluation.resolveAll(call.context, selector)))
    const type = method as ValueTypeName
    const { value, variant, reason, metadata } = spoken(
      version,
      evaluation.resolve(version, type, call, selector),
    )
    // 64-bit integers are strings in protobuf's JSON.
    const shown = type === 'Int' && value !== undefined ? String(value) : value
    return JSON.stringify({ value: shown, reason, variant, metadata })
  },
}

const proto: Codec = {
  read(version, method, bytes) {
    try {
      const request = methodOf(version, method)?.requestDeserialize(bytes) as {
        flagKey?: string
        context?: Struct
      }
      return { flagKey: request.flagKey ?? '', context: fromStruct(request.context) }
    } catch {
      throw unmarshal('cannot parse invalid wire-format data')
    }
  },
  answer(evaluation, { version, method, call, selector }) {
    const serialize = methodOf(version, method)?.responseSerialize as (message: object) => Buffer
    if (method === 'All') return serialize(evaluation.resolveAll(call.context, selector))
    const answer = evaluation.resolve(version, method as ValueTypeName, call, selector)
    const { value, metadata = {}, ...rest } = spoken(version, answer)
    return serialize({
      ...rest,
      ...(value === undefined ? {} : { value: isObject(value) ? toStruct(value) : value }),
      metadata: toStruct(metadata),
    })
  },
}

function methodOf(version: Version, method: string): (typeof evaluationV1)[string] | undefined {
  return (version === 'v1' ? evaluationV1 : evaluationV2)[`Resolve${method}`]
}

function isVersion(version: string | undefined): version is Version {
  return version === 'v1' || version === 'v2'
}

function isMethod(version: Version, method: string): boolean {
  return Object.hasOwn(VALUE_TYPES, method) || (version === 'v1' && method === 'All')
}

/** protobuf's JSON of `ResolveAllResponse`. */
function allOf(message: object): object {
  const { flags, metadata } = message as {
    flags: Readonly<Record<string, { metadata: Struct; objectValue?: Struct }>>
    metadata: Struct
  }
  const entries = Object.entries(flags).map(([key, { objectValue, ...flag }]) => {
    const value = objectValue === undefined ? {} : { objectValue: fromStruct(objectValue) }
    return [key, { ...flag, ...value, metadata: fromStruct(flag.metadata) }]
  })
  return { flags: Object.fromEntries(entries), metadata: fromStruct(metadata) }
}

function tooLarge(limit: number): string {
  return `read first ${limit} bytes of message: exceeded ${limit} byte http.MaxBytesReader limit`
}

function unmarshal(problem: string): EvaluationError {
  return new EvaluationError(status.INVALID_ARGUMENT, `unmarshal message: ${problem}`)
}

/** A request as protobuf's JSON: one value and nothing else, each field once, unknown fields ignored. */
function parse(text: string): ResolveRequest {
  if (text === '') throw unmarshal('zero-length payload is not a valid JSON object')
  const start = skipBlanks(text, 0)
  const end = endOfValue(text, start)
  if (end < 0 || skipBlanks(text, end) < text.length || text[start] !== '{') {
    throw unmarshal('proto: syntax error')
  }
  const fields = new Map<string, JsonValue>()
  for (const [name, member] of membersOf(text.slice(start, end))) {
    const field = name === 'flag_key' ? 'flagKey' : name
    if (field !== 'flagKey' && field !== 'context') continue
    if (fields.has(field)) throw unmarshal(`proto: duplicate field "${name}"`)
    const value = decoded(member)
    if (value === undefined) throw unmarshal('proto: syntax error')
    fields.set(field, value)
  }
  const flagKey = fields.get('flagKey') ?? ''
  const context: JsonObject | JsonValue = fields.get('context') ?? {}
  if (typeof flagKey !== 'string') throw unmarshal('proto: invalid value for string field flagKey')
  if (!isObject(context)) throw unmarshal('proto: syntax error')
  return { flagKey, context }
}
