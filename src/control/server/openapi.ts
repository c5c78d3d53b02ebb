/** JSON Schemas of what is sent and answered; `x | null` is written as a type list (OpenAPI 3.1). */
const number = { type: 'number' } as const
const text = { type: 'string' } as const
const numberOrNull = { type: ['number', 'null'] } as const
const lines = { type: 'array', items: text } as const

type Schema = Readonly<Record<string, unknown>>

function object(
  properties: Readonly<Record<string, Schema>>,
  optional: readonly string[] = [],
): Schema {
  return {
    type: 'object',
    required: Object.keys(properties).filter((key) => !optional.includes(key)),
    properties,
  }
}

function listOf(items: Schema): Schema {
  return { type: 'array', items }
}

function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}

function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: 'null' }] }
}

const share = {
  type: 'number',
  minimum: 0,
  maximum: 100,
  description: 'Per cent of the users who get on; at most three decimals',
} as const
const person = { type: 'string', maxLength: 64, pattern: '^[^\\u0000-\\u001f\\u007f]*$' } as const
const who = {
  ...person,
  description: 'A name for the audit log; the address is added to it',
} as const
const reason = { ...person, maxLength: 200, description: 'Why, for the audit log' } as const
const hash = {
  type: 'string',
  pattern: '^[0-9a-f]{64}$',
  description: 'SHA-256 of the file that the change was decided on; another file refuses it',
} as const

function body(properties: Readonly<Record<string, Schema>>, required: readonly string[]): Schema {
  return { type: 'object', additionalProperties: false, required, properties }
}

/** Bodies of requests; the server checks them with these very schemas. */
export const requestSchemas: Readonly<
  Record<'preview' | 'share' | 'rollback' | 'undo' | 'approve', Schema>
> = {
  preview: body({ share }, ['share']),
  share: body({ share, hash, who, reason }, ['share']),
  rollback: body({ who, reason, disable: { type: 'boolean' } }, []),
  undo: body({ who, reason }, []),
  approve: body({ share, who }, ['share']),
}

const arm = object({
  operations: { ...number, description: 'a second' },
  bad: numberOrNull,
  errors: numberOrNull,
  fallbacks: numberOrNull,
  p50: { ...numberOrNull, description: 'milliseconds' },
  p95: numberOrNull,
  p99: numberOrNull,
  hitRate: numberOrNull,
  originLoads: { ...number, description: 'a second' },
  originFailures: number,
  repeatMisses: numberOrNull,
})
const level = { enum: ['ok', 'watch', 'trouble', 'unknown'] }
const finding = object({ level, sentence: text })
const evidence = object({ logEvidence: number, logThreshold: number })
const beforeAfter = object({ before: numberOrNull, after: numberOrNull })
const diff = listOf(object({ kind: { enum: ['removed', 'added'] }, line: text }))
const bySide = (schema: Schema): Schema => object({ off: schema, on: schema })

const schemas = {
  Problem: object({
    type: text,
    title: text,
    status: number,
    detail: text,
    code: text,
    hint: text,
  }),
  State: object({
    at: { ...number, description: 'epoch milliseconds' },
    boot: text,
    headline: object({ level, sentence: text, findings: listOf(finding) }),
    flag: object({
      name: text,
      file: text,
      hash: text,
      description: orNull(
        object(
          {
            state: text,
            shape: text,
            share: number,
            defaultVariant: text,
            sentence: text,
            pilots: number,
          },
          ['share', 'defaultVariant'],
        ),
      ),
      error: orNull(object({ code: text, message: text, hint: text })),
      served: object({
        state: { enum: ['same', 'different', 'unreachable', 'unknown', 'unasked'] },
        url: text,
        detail: text,
        probes: number,
        agreeing: number,
        since: number,
      }),
    }),
    fleet: object(
      {
        arms: object({ off: ref('Arm'), on: ref('Arm'), all: ref('Arm') }),
        replicas: listOf(
          object({
            url: text,
            live: { type: 'boolean' },
            error: text,
            operations: number,
            bad: numberOrNull,
          }),
        ),
        breakersOpen: bySide(number),
        owed: bySide(numberOrNull),
        eventLoopDelay: numberOrNull,
      },
      ['arms'],
    ),
    guard: orNull(ref('Guard')),
    point: listOf(numberOrNull),
    effect: orNull(object({ id: text, bad: beforeAfter, p99: beforeAfter, seconds: number })),
  }),
  Arm: arm,
  Guard: object(
    {
      mode: { enum: ['acting', 'advising', 'yielded', 'blind', 'standby', 'stopped'] },
      answer: { enum: ['regressed', 'safe', 'undecided', 'starved'] },
      sentence: text,
      metrics: listOf(
        object(
          {
            id: text,
            harm: evidence,
            safety: evidence,
            treatment: object({ bad: number, total: number }),
            control: object({ bad: number, total: number }),
            heldBack: text,
          },
          ['safety'],
        ),
      ),
      plan: object({ steps: listOf(number), heldS: number, minHoldS: number }),
      alarms: lines,
      awaiting: { ...number, description: 'a share that waits for approval' },
      at: number,
    },
    ['answer', 'plan', 'awaiting'],
  ),
  History: listOf(
    object({
      id: text,
      at: number,
      action: text,
      from: numberOrNull,
      to: numberOrNull,
      who: text,
      via: text,
      reason: text,
    }),
  ),
  Series: object({ boot: text, columns: lines, points: listOf(listOf(numberOrNull)) }),
  Info: object({
    version: text,
    flag: text,
    file: text,
    flagd: text,
    token: { type: 'boolean' },
    operator: text,
    boot: text,
  }),
  Preview: object({
    from: numberOrNull,
    to: numberOrNull,
    hash: text,
    users: number,
    joins: number,
    leaves: number,
    diff,
    sentence: text,
  }),
  Approved: object({ approved: number }),
  Change: object({
    action: text,
    from: numberOrNull,
    to: numberOrNull,
    written: { type: 'boolean' },
    confirmed: { type: 'boolean' },
    servedMs: numberOrNull,
    lastMs: numberOrNull,
    movers: number,
    cause: text,
    hint: text,
    warning: text,
    diff,
  }),
} as const satisfies Record<string, Schema>

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
        'Reading is free; changes need the token (where one is set), JSON, and to come from this server.',
    },
    paths: {
      '/api/info': reading('What this control room looks after', 'Info'),
      '/api/state': reading('All that the page shows, as of the last second', 'State'),
      '/api/series': reading('The last half hour, a point a second', 'Series', [since]),
      '/api/history': reading('The last changes of the flag, oldest first', 'History'),
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
      '/api/rollback': changing('Take everybody back to off', 'rollback', 'Change'),
      '/api/undo': changing('Take the last change back', 'undo', 'Change'),
      '/api/approve': changing(
        'Let the guard take the step that it waits for',
        'approve',
        'Approved',
      ),
      '/healthz': {
        get: {
          summary: 'Whether the control room itself runs',
          security: [],
          responses: {
            '200': {
              description: 'It does',
              content: { 'application/json': { schema: object({ status: text }) } },
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
