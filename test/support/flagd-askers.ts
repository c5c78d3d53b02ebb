import { Metadata, credentials, loadPackageDefinition, status } from '@grpc/grpc-js'
import type { Client, ServiceError } from '@grpc/grpc-js'
import type { EvaluationContext, EvaluationDetails, FlagValue } from '@openfeature/server-sdk'
import type { JsonObject, JsonValue } from '../../src/flagfile/index.ts'
import { flagsFromEnvironment } from '../../src/flags/index.ts'
import { evaluationV1, evaluationV2 } from '../../src/sidecar/grpc/protocol.ts'
import type { ValueTypeName } from '../../src/sidecar/grpc/protocol.ts'
import { fromStruct, toStruct } from '../../src/sidecar/grpc/struct.ts'
import type { Struct } from '../../src/sidecar/grpc/struct.ts'
import type { FlagServer } from './flagd-server.ts'

/** An answer in one form, whichever protocol it came by. */
export interface Said {
  /** Absent when the caller's own default applies. */
  readonly value?: JsonValue
  readonly variant?: string
  readonly reason?: string
  /** OpenFeature's error code; value, variant and reason are then absent. */
  readonly error?: string
  readonly metadata?: JsonObject
}

/** One way to ask a server for a flag. */
export interface Asker extends AsyncDisposable {
  readonly name: string
  ask(type: ValueTypeName, key: string, context: JsonObject): Promise<Said>
}

/** The last three are `flagsFromEnvironment`: the code that ships. */
export type Way = 'v1' | 'v2' | 'http' | 'ofrep' | 'rpc' | 'in-process' | 'file'

/** @param file what the server serves; for the way `file` */
export function asker(way: Way, server: FlagServer, file = ''): Promise<Asker> {
  switch (way) {
    case 'v1':
      return Promise.resolve(grpcAsker(way, server))
    case 'v2':
      return Promise.resolve(grpcAsker(way, server))
    case 'http':
      return Promise.resolve(httpAsker(server))
    case 'ofrep':
      return Promise.resolve(ofrepAsker(server))
    case 'rpc':
    case 'in-process':
    case 'file':
      return sourceAsker(way, server, file)
  }
}

const ERROR_OF_STATUS: Partial<Record<status, string>> = {
  [status.NOT_FOUND]: 'FLAG_NOT_FOUND',
  [status.INVALID_ARGUMENT]: 'TYPE_MISMATCH',
  [status.DATA_LOSS]: 'PARSE_ERROR',
  [status.UNKNOWN]: 'GENERAL',
}

/** A client of one of flagd's gRPC services. */
export function grpcClient(service: typeof evaluationV1, host: string, port: number): Client {
  const Constructor = loadPackageDefinition({ Service: service })['Service'] as unknown as new (
    address: string,
    channel: ReturnType<typeof credentials.createInsecure>,
  ) => Client
  return new Constructor(`${host}:${port}`, credentials.createInsecure())
}

/** One unary call by its name. */
export function call<Response>(client: Client, method: string, request: object): Promise<Response> {
  const methods = client as unknown as Record<
    string,
    (
      request: object,
      metadata: Metadata,
      options: { deadline: number },
      callback: (error: ServiceError | null, response: Response) => void,
    ) => void
  >
  return new Promise((resolve, reject) => {
    methods[method]?.call(
      client,
      request,
      new Metadata(),
      { deadline: Date.now() + 10_000 },
      (error, response) => (error ? reject(error) : resolve(response)),
    )
  })
}

interface ResolveResponse {
  readonly value?: JsonValue | Struct
  readonly reason?: string
  readonly variant?: string
  readonly metadata?: Struct
}

function grpcAsker(way: 'v1' | 'v2', { host, ports }: FlagServer): Asker {
  const client = grpcClient(way === 'v1' ? evaluationV1 : evaluationV2, host, ports.evaluation)
  return {
    name: `gRPC ${way}`,
    async ask(type, flagKey, context) {
      try {
        const request = { flagKey, context: toStruct(context) }
        const answer = await call<ResolveResponse>(client, `Resolve${type}`, request)
        const { value, reason, variant } = answer
        const metadata = fromStruct(answer.metadata)
        // Without a variant the value is proto3's zero, and the caller's default applies.
        if (!variant) return { reason, metadata } as Said
        const plain = type === 'Object' ? fromStruct(value as Struct) : (value ?? ZERO[type])
        return { value: plain as JsonValue, variant, reason, metadata } as Said
      } catch (error) {
        const { code } = error as ServiceError
        return { error: ERROR_OF_STATUS[code] ?? `status ${code}` }
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(client.close()),
  }
}

const ZERO: Readonly<Record<ValueTypeName, JsonValue>> = {
  Boolean: false,
  String: '',
  Float: 0,
  Int: 0,
  Object: {},
}

const ERROR_OF_HTTP: Readonly<Record<string, string>> = {
  '404 not_found': 'FLAG_NOT_FOUND',
  '400 invalid_argument': 'TYPE_MISMATCH',
  '500 data_loss': 'PARSE_ERROR',
  '500 unknown': 'GENERAL',
}

function httpAsker({ host, ports }: FlagServer): Asker {
  return {
    name: 'HTTP/JSON',
    async ask(type, flagKey, context) {
      const url = `http://${host}:${ports.evaluation}/flagd.evaluation.v2.Service/Resolve${type}`
      const { status: code, body } = await post(url, { flagKey, context })
      if (code !== 200) {
        const error = `${code} ${body['code'] as string}`
        return { error: ERROR_OF_HTTP[error] ?? error }
      }
      const { value, reason, variant, metadata } = body
      if (!variant) return { reason, metadata } as Said
      const plain = type === 'Int' ? Number(value ?? 0) : (value ?? ZERO[type])
      return { value: plain, variant, reason, metadata } as Said
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

const STATUS_OF_ERROR: Readonly<Record<string, number>> = {
  FLAG_NOT_FOUND: 404,
  PARSE_ERROR: 400,
  GENERAL: 400,
}

function ofrepAsker({ host, ports }: FlagServer): Asker {
  return {
    name: 'OFREP',
    async ask(_type, key, context) {
      const url = `http://${host}:${ports.ofrep}/ofrep/v1/evaluate/flags/${encodeURIComponent(key)}`
      const { status: code, body } = await post(url, { context })
      if (body['key'] !== key) return { error: `answer to another key ${String(body['key'])}` }
      if (code !== 200) {
        const error = body['errorCode'] as string
        return { error: STATUS_OF_ERROR[error] === code ? error : `${code} ${error}` }
      }
      const { value, reason, variant, metadata } = body
      if (value === undefined && !variant) return { reason, metadata } as Said
      return { value, variant, reason, metadata } as Said
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

async function post(
  url: string,
  body: object,
): Promise<{ status: number; body: Record<string, JsonValue> }> {
  const response = await fetch(url, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
    signal: AbortSignal.timeout(10_000),
  })
  return {
    status: response.status,
    body: (await response.json()) as Record<string, JsonValue>,
  }
}

async function sourceAsker(
  way: 'rpc' | 'in-process' | 'file',
  { host, ports }: FlagServer,
  file: string,
): Promise<Asker> {
  const environment = {
    FLAGD_RESOLVER: way,
    FLAGD_HOST: host,
    FLAGD_PORT: String(way === 'rpc' ? ports.evaluation : ports.sync),
    FLAGD_DEADLINE_MS: '5000',
    // The cache holds what is STATIC by key alone, and gives it to a caller of another type too.
    FLAGD_CACHE: 'disabled',
  }
  const source = await flagsFromEnvironment(
    way === 'file' ? { FLAGD_OFFLINE_FLAG_SOURCE_PATH: file } : environment,
    { startMs: 10_000, onEvent: () => {} },
  )
  const client = source.client()
  const evaluate = (
    type: ValueTypeName,
    key: string,
    context: EvaluationContext,
  ): Promise<EvaluationDetails<FlagValue>> => {
    switch (type) {
      case 'Boolean':
        return client.getBooleanDetails(key, false, context)
      case 'String':
        return client.getStringDetails(key, 'caller', context)
      case 'Float':
      case 'Int':
        return client.getNumberDetails(key, -1, context)
      case 'Object':
        return client.getObjectDetails(key, {}, context) as Promise<EvaluationDetails<FlagValue>>
    }
  }
  return {
    name: way,
    async ask(type, key, context) {
      const details = await evaluate(type, key, context as EvaluationContext)
      const { value, variant, reason, errorCode, flagMetadata } = details
      if (errorCode !== undefined) return { error: errorCode }
      const metadata = flagMetadata as JsonObject
      if (!variant) return { reason, metadata } as Said
      return { value: value as JsonValue, variant, reason, metadata } as Said
    },
    [Symbol.asyncDispose]: () => source.close(),
  }
}
