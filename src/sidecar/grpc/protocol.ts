import { fromJSON } from '@grpc/proto-loader'
import type { MethodDefinition, PackageDefinition, ServiceDefinition } from '@grpc/proto-loader'
import { readResolveAllRequest, readResolveRequest } from './protobuf-context.ts'

/**
 * flagd's gRPC surface, as descriptors in code: `tsc` copies no `.proto` files, so the sidecar
 * reads none at run time.
 */

interface FieldJson {
  readonly type: string
  readonly id: number
  readonly rule?: 'repeated'
  readonly keyType?: string
}

interface MessageJson {
  readonly fields: Record<string, FieldJson>
  readonly oneofs?: Record<string, { readonly oneof: string[] }>
}

const STRUCT = '.google.protobuf.Struct'

const google = {
  nested: {
    protobuf: {
      nested: {
        Struct: { fields: { fields: { keyType: 'string', type: 'Value', id: 1 } } },
        Value: {
          oneofs: {
            kind: {
              oneof: [
                'nullValue',
                'numberValue',
                'stringValue',
                'boolValue',
                'structValue',
                'listValue',
              ],
            },
          },
          fields: {
            nullValue: { type: 'NullValue', id: 1 },
            numberValue: { type: 'double', id: 2 },
            stringValue: { type: 'string', id: 3 },
            boolValue: { type: 'bool', id: 4 },
            structValue: { type: 'Struct', id: 5 },
            listValue: { type: 'ListValue', id: 6 },
          },
        },
        NullValue: { values: { NULL_VALUE: 0 } },
        ListValue: { fields: { values: { rule: 'repeated', type: 'Value', id: 1 } } },
      },
    },
  },
} as const

/** The value types that flags resolve to, by the name of their RPC. */
export const VALUE_TYPES: Readonly<Record<ValueTypeName, string>> = {
  Boolean: 'bool',
  String: 'string',
  Float: 'double',
  Int: 'int64',
  Object: STRUCT,
}

export type ValueTypeName = 'Boolean' | 'String' | 'Float' | 'Int' | 'Object'

function evaluationPackage(version: 'v1' | 'v2'): unknown {
  const messages: Record<string, MessageJson> = {
    EventStreamRequest: { fields: {} },
    EventStreamResponse: {
      fields: { type: { type: 'string', id: 1 }, data: { type: STRUCT, id: 2 } },
    },
  }
  const methods: Record<string, object> = {
    EventStream: {
      requestType: 'EventStreamRequest',
      responseType: 'EventStreamResponse',
      responseStream: true,
    },
  }
  for (const [name, type] of Object.entries(VALUE_TYPES)) {
    messages[`Resolve${name}Request`] = {
      fields: { flagKey: { type: 'string', id: 1 }, context: { type: STRUCT, id: 2 } },
    }
    messages[`Resolve${name}Response`] = {
      fields: {
        value: { type, id: 1 },
        reason: { type: 'string', id: 2 },
        variant: { type: 'string', id: 3 },
        metadata: { type: STRUCT, id: 4 },
      },
    }
    methods[`Resolve${name}`] = {
      requestType: `Resolve${name}Request`,
      responseType: `Resolve${name}Response`,
    }
  }
  if (version === 'v1') {
    messages['ResolveAllRequest'] = { fields: { context: { type: STRUCT, id: 1 } } }
    messages['ResolveAllResponse'] = {
      fields: {
        flags: { keyType: 'string', type: 'AnyFlag', id: 1 },
        metadata: { type: STRUCT, id: 2 },
      },
    }
    messages['AnyFlag'] = {
      oneofs: { value: { oneof: ['boolValue', 'stringValue', 'doubleValue', 'objectValue'] } },
      fields: {
        reason: { type: 'string', id: 1 },
        variant: { type: 'string', id: 2 },
        boolValue: { type: 'bool', id: 3 },
        stringValue: { type: 'string', id: 4 },
        doubleValue: { type: 'double', id: 5 },
        objectValue: { type: STRUCT, id: 6 },
        metadata: { type: STRUCT, id: 7 },
      },
    }
    methods['ResolveAll'] = { requestType: 'ResolveAllRequest', responseType: 'ResolveAllResponse' }
  }
  return { nested: { ...messages, Service: { methods } } }
}

const sync = {
  nested: {
    v1: {
      nested: {
        SyncFlagsRequest: {
          fields: { providerId: { type: 'string', id: 1 }, selector: { type: 'string', id: 2 } },
        },
        SyncFlagsResponse: {
          fields: {
            flagConfiguration: { type: 'string', id: 1 },
            syncContext: { type: STRUCT, id: 2 },
          },
        },
        FetchAllFlagsRequest: {
          fields: { providerId: { type: 'string', id: 1 }, selector: { type: 'string', id: 2 } },
        },
        FetchAllFlagsResponse: { fields: { flagConfiguration: { type: 'string', id: 1 } } },
        GetMetadataRequest: { fields: {} },
        GetMetadataResponse: { fields: { metadata: { type: STRUCT, id: 2 } } },
        FlagSyncService: {
          methods: {
            SyncFlags: {
              requestType: 'SyncFlagsRequest',
              responseType: 'SyncFlagsResponse',
              responseStream: true,
            },
            FetchAllFlags: {
              requestType: 'FetchAllFlagsRequest',
              responseType: 'FetchAllFlagsResponse',
            },
            GetMetadata: { requestType: 'GetMetadataRequest', responseType: 'GetMetadataResponse' },
          },
        },
      },
    },
  },
}

const definition: PackageDefinition = fromJSON(
  {
    nested: {
      google,
      flagd: {
        nested: {
          evaluation: { nested: { v1: evaluationPackage('v1'), v2: evaluationPackage('v2') } },
          sync,
        },
      },
    },
  } as Parameters<typeof fromJSON>[0],
  { longs: Number, enums: String },
)

export type GrpcService = ServiceDefinition
export type GrpcMethod = MethodDefinition<object, object>

function service(name: string): GrpcService {
  return definition[name] as GrpcService
}

/** The service for a server, which reads contexts as deep as flagd does. */
export function readingContexts(service: GrpcService): GrpcService {
  const methods = Object.entries(service).map(([name, method]) => {
    if (!name.startsWith('Resolve')) return [name, method]
    const requestDeserialize = name === 'ResolveAll' ? readResolveAllRequest : readResolveRequest
    return [name, { ...method, requestDeserialize }]
  })
  return Object.fromEntries(methods) as GrpcService
}

export const evaluationV1: GrpcService = service('flagd.evaluation.v1.Service')
export const evaluationV2: GrpcService = service('flagd.evaluation.v2.Service')
export const flagSync: GrpcService = service('flagd.sync.v1.FlagSyncService')
