/** JSON Schemas of what is sent and answered; `x | null` is written as a type list (OpenAPI 3.1). */
const number = { type: 'number' } as const
export const text = { type: 'string' } as const
const numberOrNull = { type: ['number', 'null'] } as const
const lines = { type: 'array', items: text } as const

export type Schema = Readonly<Record<string, unknown>>

export function objectSchema(
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

export function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}

function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: 'null' }] }
}

const share = {
  type: 'number',
  minimum: 0,
  maximum: 100,
  description: 'Percent of the users on the new side; at most three decimals',
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
  description:
    'SHA-256 of the file that the change was decided on; refused if the file is another one',
} as const

const flagKey = {
  type: 'string',
  maxLength: 200,
  description:
    "The flag of another switch that the processes report; the page's when it is left out",
} as const

function body(properties: Readonly<Record<string, Schema>>, required: readonly string[]): Schema {
  return { type: 'object', additionalProperties: false, required, properties }
}

/** Bodies of requests; the server checks them with these very schemas. */
export const requestSchemas: Readonly<
  Record<'preview' | 'share' | 'rollback' | 'undo' | 'approve' | 'guard', Schema>
> = {
  preview: body({ share }, ['share']),
  share: body({ share, hash, who, reason }, ['share']),
  rollback: body({ who, reason, disable: { type: 'boolean' }, flag: { ...flagKey } }, []),
  undo: body({ who, reason }, []),
  approve: body({ share, who }, ['share']),
  guard: body({ kind: { enum: ['pause', 'unpause', 'resume', 'promote'] }, to: share, who }, [
    'kind',
  ]),
}

const arm = objectSchema({
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
  lost: number,
})
const level = { enum: ['ok', 'watch', 'trouble', 'unknown'] }
const finding = objectSchema({ level, sentence: text })
const evidence = objectSchema({ logEvidence: number, logThreshold: number })
const beforeAfter = objectSchema({ before: numberOrNull, after: numberOrNull })
const diff = listOf(objectSchema({ kind: { enum: ['removed', 'added'] }, line: text }))
const bySide = (schema: Schema): Schema => objectSchema({ off: schema, on: schema })

/** What is answered, by name. */
export const schemas: Readonly<Record<string, Schema>> = {
  Problem: objectSchema({
    type: text,
    title: text,
    status: number,
    detail: text,
    code: text,
    hint: text,
  }),
  State: objectSchema({
    at: { ...number, description: 'epoch milliseconds' },
    boot: text,
    headline: objectSchema({ level, sentence: text, findings: listOf(finding) }),
    flag: objectSchema({
      name: text,
      file: text,
      hash: text,
      description: orNull(
        objectSchema(
          {
            state: text,
            shape: text,
            share: number,
            defaultVariant: text,
            sentence: text,
            pilots: number,
            problem: { ...text, description: 'why no app can use the flag' },
          },
          ['share', 'defaultVariant'],
        ),
      ),
      error: orNull(objectSchema({ code: text, message: text, hint: text })),
      trouble: text,
      served: objectSchema({
        state: { enum: ['same', 'different', 'unreachable', 'unknown', 'unasked'] },
        url: text,
        detail: text,
        probes: number,
        agreeing: number,
        since: number,
      }),
      edited: orNull(objectSchema({ at: number, warning: text, unwritten: text })),
    }),
    fleet: objectSchema(
      {
        of: { enum: ['cache', 'switch'] },
        hasCache: { type: 'boolean' },
        arms: objectSchema({ off: ref('Arm'), on: ref('Arm'), all: ref('Arm') }),
        replicas: listOf(
          objectSchema({
            url: text,
            live: { type: 'boolean' },
            error: text,
            heardAt: numberOrNull,
            operations: number,
            bad: numberOrNull,
          }),
        ),
        breakersOpen: bySide(number),
        backends: bySide(text),
        outSince: bySide(numberOrNull),
        owed: bySide(numberOrNull),
        eventLoopDelay: numberOrNull,
      },
      ['arms'],
    ),
    processes: objectSchema({
      known: number,
      agreeing: number,
      untold: number,
      newSide: text,
      list: listOf(
        objectSchema({
          process: text,
          agrees: { type: 'boolean' },
          silent: { type: 'boolean' },
          cause: text,
          refuses: text,
          onShare: numberOrNull,
        }),
      ),
    }),
    flagOutages: objectSchema({
      told: { ...number, description: 'processes that say whether they reach their flags' },
      down: number,
      process: text,
      since: numberOrNull,
      backAt: numberOrNull,
    }),
    switches: listOf(
      objectSchema({
        name: text,
        flag: text,
        share: numberOrNull,
        unknown: { ...text, description: 'why it cannot be rolled back from here' },
        names: bySide(text),
        outSince: bySide(numberOrNull),
        known: number,
        agreeing: number,
        methods: listOf(
          objectSchema({
            name: text,
            off: ref('CallArm'),
            on: ref('CallArm'),
            compared: { ...number, description: 'a second' },
            mismatches: numberOrNull,
            shadowFailed: numberOrNull,
          }),
        ),
      }),
    ),
    wayBack: objectSchema({
      state: { enum: ['open', 'waiting', 'back', 'not-back', 'unsure'] },
      sentence: text,
      next: text,
    }),
    guard: orNull(ref('Guard')),
    point: listOf(numberOrNull),
    effect: orNull(
      objectSchema({
        id: text,
        bad: beforeAfter,
        p99: beforeAfter,
        operations: beforeAfter,
        seconds: number,
      }),
    ),
  }),
  Arm: arm,
  CallArm: objectSchema({
    operations: { ...number, description: 'a second' },
    errors: numberOrNull,
    fallbacks: numberOrNull,
    p99: { ...numberOrNull, description: 'milliseconds' },
  }),
  Guard: objectSchema(
    {
      mode: { enum: ['acting', 'advising', 'yielded', 'blind', 'standby', 'stopped'] },
      answer: { enum: ['regressed', 'safe', 'undecided', 'starved'] },
      sentence: text,
      metrics: listOf(
        objectSchema(
          {
            id: text,
            harm: evidence,
            safety: evidence,
            treatment: objectSchema({ bad: number, total: number }),
            control: objectSchema({ bad: number, total: number }),
            heldBack: text,
          },
          ['safety'],
        ),
      ),
      plan: objectSchema(
        { steps: listOf(number), heldS: number, minHoldS: number, intervalMs: number },
        ['intervalMs'],
      ),
      waits: lines,
      lateMs: number,
      incidents: listOf(objectSchema({ at: number, sentence: text })),
      epoch: number,
      elsewhere: { ...text, description: 'who acts, when it is not the guard beside the page' },
      alarms: lines,
      ended: { ...lines, description: 'alarms that are over' },
      awaiting: { ...number, description: 'a share that waits for approval' },
      next: { ...number, description: 'the share of the next step' },
      paused: objectSchema({ who: text, since: number }),
      holding: { ...text, description: 'the alarm in which it takes no step' },
      at: number,
    },
    'answer plan awaiting next paused holding waits lateMs incidents epoch elsewhere ended'.split(
      ' ',
    ),
  ),
  History: listOf(
    objectSchema({
      id: text,
      at: number,
      action: text,
      from: numberOrNull,
      to: numberOrNull,
      who: text,
      via: text,
      reason: text,
      warning: text,
      known: { type: 'boolean' },
    }),
  ),
  Series: objectSchema({ boot: text, columns: lines, points: listOf(listOf(numberOrNull)) }),
  Info: objectSchema({
    version: text,
    flag: text,
    file: text,
    flagd: text,
    token: { type: 'boolean' },
    operator: text,
    boot: text,
  }),
  Preview: objectSchema({
    from: numberOrNull,
    to: numberOrNull,
    hash: text,
    users: number,
    joins: number,
    leaves: number,
    diff,
    sentence: text,
  }),
  Approved: objectSchema({ approved: number }),
  Ordered: objectSchema({ ordered: text }),
  Change: objectSchema({
    action: text,
    from: numberOrNull,
    to: numberOrNull,
    written: { type: 'boolean' },
    confirmed: { type: 'boolean' },
    servedMs: numberOrNull,
    lastMs: numberOrNull,
    movers: number,
    processes: orNull(objectSchema({ known: number, deciding: number, lastMs: numberOrNull })),
    cause: text,
    hint: text,
    warning: text,
    diff,
  }),
}
