import { objectSchema, ref, requestSchemas, type Schema, schemas, text } from './schemas.ts'

const problem = {
  description: 'Refused or failed (RFC 9457)',
  content: { 'application/problem+json': { schema: ref('Problem') } },
} as const

function answers(schema: string, type = 'application/json'): Schema {
  return {
    '200': { description: 'Done', content: { [type]: { schema: ref(schema) } } },
    default: problem,
  }
}

function reading(summary: string, schema: string, parameters: readonly Schema[] = []): Schema {
  return { get: { summary, parameters, security: [], responses: answers(schema) } }
}

function changing(summary: string, request: keyof typeof requestSchemas, schema: string): Schema {
  const content = { 'application/json': { schema: requestSchemas[request] } }
  return {
    post: {
      summary,
      requestBody: { required: true, content },
      responses: answers(schema),
    },
  }
}

const since = {
  name: 'since',
  in: 'query',
  description: 'Epoch seconds; earlier points are left out',
  schema: { type: 'number', minimum: 0 },
} as const

/** The API as OpenAPI 3.1: what `GET /openapi.json` answers. */
export function openApi(version: string): Schema {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Switchback control',
      version,
      description:
        'Reading needs no token; changes need the token (where one is set), a JSON body, and a request from its own pages.',
    },
    paths: {
      '/api/info': reading('The flag, the file and the addresses of this control page', 'Info'),
      '/api/state': reading('All that the page shows, as of the last second', 'State'),
      '/api/series': reading('The last half hour, a point a second', 'Series', [since]),
      '/api/history': reading('The last changes of the flag, oldest first', 'History'),
      '/metrics': {
        get: {
          summary: "The guard's own metrics, in the text format of Prometheus",
          security: [],
          responses: {
            '200': { description: 'Metrics', content: { 'text/plain': { schema: text } } },
            default: problem,
          },
        },
      },
      '/api/events': {
        get: {
          summary: 'Server-sent events: `tick` (a State, once a second) and `history` (a History)',
          security: [],
          responses: {
            '200': { description: 'Events', content: { 'text/event-stream': { schema: text } } },
            default: problem,
          },
        },
      },
      '/api/preview': changing('Who would move; nothing is written', 'preview', 'Preview'),
      '/api/share': changing('Set the share and wait until flagd serves it', 'share', 'Change'),
      '/api/rollback': changing('Route everyone to the old side', 'rollback', 'Change'),
      '/api/undo': changing('Undo the last change', 'undo', 'Change'),
      '/api/approve': changing('Approve the step that the guard waits for', 'approve', 'Approved'),
      '/api/guard': changing(
        'Tell the guard to pause, to go on (unpause), to act again after it has stopped (resume), or to take the next step now (promote, to)',
        'guard',
        'Ordered',
      ),
      '/healthz': {
        get: {
          summary: 'Whether the control page itself runs',
          security: [],
          responses: {
            '200': {
              description: 'It runs',
              content: { 'application/json': { schema: objectSchema({ status: text }) } },
            },
          },
        },
      },
      '/openapi.json': {
        get: {
          summary: 'This document',
          security: [],
          responses: { '200': { description: 'OpenAPI 3.1', content: { 'application/json': {} } } },
        },
      },
    },
    components: {
      schemas,
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
    security: [{ token: [] }, {}],
  }
}
