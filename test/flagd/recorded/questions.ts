import { Metadata } from '@grpc/grpc-js'
import type { Client, ServiceError } from '@grpc/grpc-js'
import { Agent, request } from 'node:http'
import type { JsonObject, JsonValue } from '../../../src/flagfile/index.ts'
import type { SidecarPorts } from '../../../src/sidecar/index.ts'
import { evaluationV1, evaluationV2, flagSync } from '../../../src/sidecar/grpc/protocol.ts'
import { fromStruct, toStruct } from '../../../src/sidecar/grpc/struct.ts'
import type { Struct } from '../../../src/sidecar/grpc/struct.ts'
import { grpcClient } from '../../support/flagd-askers.ts'
import type { OfrepAnswer, RecordedRequest } from './load.ts'

/** Asks a server the questions that flagd was asked, and gives its answers in the form of the record. */
export interface Questions extends Disposable {
  http(request: RecordedRequest): Promise<OfrepAnswer>
  boolean(
    version: 'v1' | 'v2',
    key: string,
    context?: JsonObject,
    selector?: string,
  ): Promise<object>
  all(context?: JsonObject, selector?: string): Promise<object>
  sync(
    method: 'SyncFlags' | 'FetchAllFlags',
    selector?: string,
    via?: 'header' | 'request',
  ): Promise<unknown>
}

export function questions(ports: SidecarPorts): Questions {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  const host = '127.0.0.1'
  const clients = {
    v1: grpcClient(evaluationV1, host, ports.evaluation),
    v2: grpcClient(evaluationV2, host, ports.evaluation),
    sync: grpcClient(flagSync, host, ports.sync),
  }
  return {
    http({ method, path, body, headers = {} }) {
      return new Promise((resolve, reject) => {
        const options = { host, port: ports.ofrep, agent, method, path }
        const sent = request(
          { ...options, headers: { 'content-type': 'application/json', ...headers } },
          (response) => {
            const chunks: Buffer[] = []
            response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject)
            response.on('end', () => {
              const type = (response.headers['content-type'] ?? '').split(';')[0] as string
              const text = Buffer.concat(chunks).toString()
              const status = response.statusCode ?? 0
              if (type !== 'application/json') return resolve({ status, type, body: text })
              resolve({ status, body: JSON.parse(text) as JsonObject })
            })
          },
        )
        sent.on('error', reject).end(body)
      })
    },
    async boolean(version, flagKey, context, selector) {
      const asked = { flagKey, ...contextOf(context) }
      const answer = await unary(clients[version], 'ResolveBoolean', asked, selector)
      if ('code' in answer) return answer
      const { metadata, ...said } = answer as { metadata?: Struct }
      const zeros = version === 'v1' ? { value: false, variant: '', reason: '' } : { reason: '' }
      return { ...zeros, ...said, ...metadataOf(metadata) }
    },
    async all(context, selector) {
      const answer = await unary(clients.v1, 'ResolveAll', contextOf(context), selector)
      if ('code' in answer) return answer
      const { flags = {}, metadata } = answer as AllAnswer
      const entries = Object.entries(flags).map(([key, flag]) => [key, anyFlag(flag)] as const)
      return { flags: Object.fromEntries(entries), ...metadataOf(metadata) }
    },
    async sync(method, selector, via = 'header') {
      const asked = via === 'request' ? { selector } : {}
      const header = via === 'header' ? selector : undefined
      const answer = await (method === 'SyncFlags' ? first : unary)(
        clients.sync,
        method,
        asked,
        header,
      )
      return 'code' in answer
        ? answer
        : (answer as { flagConfiguration?: string }).flagConfiguration
    },
    [Symbol.dispose]() {
      agent.destroy()
      for (const client of Object.values(clients)) client.close()
    },
  }
}

interface AllAnswer {
  readonly flags?: Readonly<Record<string, AnyFlag>>
  readonly metadata?: Struct
}

interface AnyFlag {
  readonly reason: string
  readonly variant?: string
  readonly boolValue?: boolean
  readonly stringValue?: string
  readonly doubleValue?: number
  readonly objectValue?: Struct
  readonly metadata?: Struct
}

function anyFlag(flag: AnyFlag): object {
  const { reason, variant, boolValue, stringValue, doubleValue, objectValue, metadata } = flag
  return JSON.parse(
    JSON.stringify({
      reason,
      variant: variant === '' ? undefined : variant,
      bool: boolValue,
      string: stringValue,
      number: doubleValue,
      object: objectValue && fromStruct(objectValue),
      ...metadataOf(metadata),
    }),
  ) as object
}

function metadataOf(struct: Struct | undefined): { metadata?: JsonObject } {
  const metadata = fromStruct(struct)
  return Object.keys(metadata).length === 0 ? {} : { metadata }
}

/** gRPC has no half of a surrogate pair. */
function contextOf(context: JsonObject | undefined): { context?: Struct } {
  return context === undefined ? {} : { context: toStruct(wellFormed(context) as JsonObject) }
}

function wellFormed(value: JsonValue): JsonValue {
  return JSON.parse(
    JSON.stringify(value).replace(/\\ud[89a-f][0-9a-f]{2}/gi, '\\ufffd'),
  ) as JsonValue
}

type Methods = Record<string, (...parameters: unknown[]) => unknown>

function metadataWith(selector: string | undefined): Metadata {
  const metadata = new Metadata()
  if (selector !== undefined) metadata.set('flagd-selector', selector)
  return metadata
}

function failure({ code, details }: ServiceError): object {
  return { code, message: details }
}

function unary(client: Client, method: string, asked: object, selector?: string): Promise<object> {
  return new Promise((resolve) => {
    const done = (error: ServiceError | null, answer: object): void =>
      resolve(error ? failure(error) : answer)
    const options = { deadline: Date.now() + 30_000 }
    ;(client as unknown as Methods)[method]?.(asked, metadataWith(selector), options, done)
  })
}

/** The first message of a stream. */
function first(client: Client, method: string, asked: object, selector?: string): Promise<object> {
  return new Promise((resolve) => {
    const call = (client as unknown as Methods)[method]?.(asked, metadataWith(selector)) as {
      on(event: string, listener: (value: never) => void): void
      cancel(): void
    }
    call.on('data', (message: object) => {
      resolve(message)
      call.cancel()
    })
    call.on('error', (error: ServiceError) => resolve(failure(error)))
  })
}
