/**
 * The part of the Compose specification that our file may use, strictly: a word that is not in here
 * is a typo or deserves a line in here. Facts from the specification's own `compose-spec.json`.
 */
const strings = { type: 'array', items: { type: 'string' }, minItems: 1 } as const
const duration = { type: 'string', pattern: '^(\\d+(us|ms|s|m|h))+$' } as const
const absolutePath = { type: 'string', pattern: '^/' } as const

const mount = {
  type: 'object',
  additionalProperties: false,
  required: ['type', 'source', 'target'],
  properties: {
    type: { enum: ['bind', 'volume'] },
    source: { type: 'string' },
    target: absolutePath,
    read_only: { type: 'boolean' },
  },
} as const

const healthcheck = {
  type: 'object',
  additionalProperties: false,
  required: ['test'],
  properties: {
    test: {
      type: 'array',
      minItems: 2,
      items: [{ enum: ['CMD', 'CMD-SHELL'] }],
      additionalItems: { type: 'string' },
    },
    interval: duration,
    timeout: duration,
    start_period: duration,
    retries: { type: 'integer', minimum: 1 },
  },
} as const

const dependencies = {
  type: 'object',
  additionalProperties: {
    type: 'object',
    additionalProperties: false,
    required: ['condition'],
    properties: {
      condition: {
        enum: ['service_started', 'service_healthy', 'service_completed_successfully'],
      },
    },
  },
} as const

const service = {
  type: 'object',
  additionalProperties: false,
  oneOf: [{ required: ['image'] }, { required: ['build'] }],
  properties: {
    // A tag, and not the one that moves.
    image: { type: 'string', pattern: '^[a-z0-9./-]+:(?!latest$)[\\w.-]+$' },
    build: { type: 'string' },
    command: strings,
    // Values must be strings: YAML would turn a bare `no` into false and a port into a number.
    environment: {
      type: 'object',
      propertyNames: { pattern: '^[A-Z][A-Z0-9_]*$' },
      additionalProperties: { type: 'string' },
    },
    profiles: strings,
    user: { type: 'string', pattern: '^\\d+:\\d+$' },
    init: { type: 'boolean' },
    read_only: { const: true },
    cap_drop: { const: ['ALL'] },
    security_opt: { const: ['no-new-privileges:true'] },
    restart: { enum: ['no', 'always', 'on-failure', 'unless-stopped'] },
    tmpfs: { type: 'array', items: absolutePath, minItems: 1 },
    volumes: { type: 'array', items: mount },
    ports: { type: 'array', items: { type: 'string', pattern: '^127\\.0\\.0\\.1:\\d+:\\d+$' } },
    healthcheck,
    depends_on: dependencies,
    stop_grace_period: duration,
  },
  // What every container of ours gives up.
  required: ['read_only', 'cap_drop', 'security_opt'],
} as const

export const composeSchema: object = {
  type: 'object',
  additionalProperties: false,
  required: ['services'],
  patternProperties: { '^x-': {} },
  properties: {
    name: { type: 'string', pattern: '^[a-z0-9][a-z0-9_-]*$' },
    services: { type: 'object', additionalProperties: service },
    volumes: { type: 'object', additionalProperties: { type: 'null' } },
  },
} as const

export interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly volumes?: Readonly<Record<string, null>>
}

export interface ComposeService {
  readonly image?: string
  readonly build?: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly user?: string
  readonly volumes?: readonly {
    readonly type: string
    readonly source: string
    readonly target: string
    readonly read_only?: boolean
  }[]
  readonly ports?: readonly string[]
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
}
