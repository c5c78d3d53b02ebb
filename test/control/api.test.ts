import { Ajv2020 } from 'ajv/dist/2020.js'
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type {
  ChangeAnswer,
  ControlHistory,
  ControlSeries,
  ControlState,
  PreviewAnswer,
} from '../../src/control/index.ts'
import type { GuardOrder, GuardReading } from '../../src/control/index.ts'
import { type ControlApp, startControlApp } from '../support/control-app.ts'
import { shareIn, startRoom, type TestRoom, until } from '../support/control-room.ts'

let guard: GuardReading = {
  mode: 'acting',
  answer: 'undecided',
  sentence: 'Evidence is still being gathered',
  metrics: [
    {
      id: 'failed',
      harm: { logEvidence: -Infinity, logThreshold: Math.log(300) },
      safety: { logEvidence: 1.5, logThreshold: Math.log(20) },
      treatment: { bad: 1, total: 900 },
      control: { bad: 9, total: 8000 },
      heldBack: '',
    },
  ],
  plan: { steps: [1, 10, 50, 100], heldS: 12, minHoldS: 60 },
  awaiting: 50,
  alarms: [],
  at: 0,
}

interface OpenApi {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: { readonly schemas: Record<string, object> }
}
interface Operation {
  readonly responses: Record<string, { content: Record<string, { schema?: { $ref?: string } }> }>
}

describe('the API, with everything alive', () => {
  let app: ControlApp
  let room: TestRoom
  let approved: (readonly [number, string])[]
  const orders: GuardOrder[] = []

  beforeAll(async () => {
    approved = []
    app = await startControlApp({ on: { bad: 0.1 } })
    const approve = (percent: number, who: string): void => void approved.push([percent, who])
    room = await startRoom({
      replicas: [app.url],
      guard: { read: () => guard, approve, order: (order) => void orders.push(order) },
    })
    app.follows = room.file
    await until('both arms tell', async () => {
      const { fleet, flag } = await room.get<ControlState>('/api/state')
      return (fleet.arms?.on.operations ?? 0) > 50 && flag.served.state === 'same'
    })
  })
  afterAll(async () => {
    await room?.[Symbol.asyncDispose]()
    await app?.[Symbol.asyncDispose]()
  })

  test('tells both arms apart', async () => {
    const { fleet, headline } = await room.get<ControlState>('/api/state')
    const { on, off } = fleet.arms!
    expect(on.bad!).toBeGreaterThan(0.03)
    expect(off.bad).toBe(0)
    expect(on.p50!).toBeGreaterThan(off.p50!)
    expect(off.p99!).toBeGreaterThan(off.p50!)
    expect(off.hitRate!).toBeGreaterThan(0.7)
    expect(off.originLoads).toBeGreaterThan(0)
    expect(fleet.arms!.all.operations).toBeCloseTo(on.operations + off.operations, 6)
    expect(headline.sentence).toMatch(/operations on .*new side.* fail/)
  })

  test('answers what its own OpenAPI says, on every address in it', async () => {
    const api = await room.get<OpenApi>('/openapi.json')
    const ajv = new Ajv2020({ strict: false })
    ajv.addSchema({ $id: 'api', ...api })
    const bodies: Record<string, object> = {
      '/api/preview': { share: 12.5 },
      '/api/share': { share: 11 },
      '/api/undo': {},
      '/api/rollback': {},
      '/api/approve': { share: 50 },
      '/api/guard': { kind: 'pause', who: 'Ann' },
    }
    for (const [path, operations] of Object.entries(api.paths)) {
      if (path === '/api/events' || path === '/metrics') continue
      const [[method, { responses }]] = Object.entries(operations) as [[string, Operation]]
      const response =
        method === 'post' ? await room.post(path, bodies[path]) : await fetch(`${room.url}${path}`)
      const body: unknown = await response.json()
      expect([path, response.status, body]).toEqual([path, 200, expect.anything()])
      const ref = responses['200']!.content['application/json']?.schema?.$ref
      if (ref === undefined) continue
      expect([path, ajv.validate(`api${ref}`, body), ajv.errors]).toEqual([path, true, null])
    }
    expect(approved).toEqual([[50, 'ann@test']])
    expect(orders).toEqual([{ kind: 'pause', who: 'Ann' }])
    const problem = await room.post('/api/share', { share: 101 })
    expect(problem.headers.get('content-type')).toContain('application/problem+json')
    expect(ajv.validate('api#/components/schemas/Problem', await problem.json())).toBe(true)
    const { paths } = api
    for (const known of ['/api/state', '/api/series', '/api/history', '/api/events', '/api/info']) {
      expect(paths).toHaveProperty([known])
    }
  })

  test('a promotion that the guard cannot take is refused, and says why', async () => {
    const refused = async (body: object): Promise<unknown> => {
      const response = await room.post('/api/guard', body)
      return [response.status, ((await response.json()) as { detail: string }).detail]
    }
    guard = { ...guard, next: 50 }
    expect(await refused({ kind: 'promote', to: 100 })).toEqual([
      409,
      '50 % is the next step; nothing was ordered',
    ])
    guard = { ...guard, holding: 'redis cannot be reached' }
    expect(await refused({ kind: 'promote', to: 50 })).toEqual([
      409,
      'an alarm holds the rollout: redis cannot be reached; nothing was ordered',
    ])
    guard = { ...guard, mode: 'stopped', holding: '' }
    expect(await refused({ kind: 'unpause' })).toEqual([409, expect.stringMatching(/does not act/)])
    orders.length = 0
    expect((await room.post('/api/guard', { kind: 'resume', who: 'Ann' })).status).toBe(200)
    expect(orders).toEqual([{ kind: 'resume', who: 'Ann' }])
    const { plan } = guard
    guard = { ...guard, plan: undefined }
    expect(await refused({ kind: 'resume' })).toEqual([
      409,
      expect.stringMatching(/nothing to resume/),
    ])
    guard = { ...guard, plan, mode: 'acting' }
    expect(await refused({ kind: 'resume' })).toEqual([
      409,
      expect.stringMatching(/^the guard has not stopped, so that there is nothing to resume: /),
    ])
    orders.length = 0
    await room.post('/api/guard', { kind: 'promote', to: 50 })
    expect(orders).toEqual([{ kind: 'promote', to: 50, who: 'ann@test' }])
  })

  test('a change: previewed, confirmed, in the history with who and from where, undone', async () => {
    await room.post('/api/share', { share: 10 })
    const preview = (await (await room.post('/api/preview', { share: 25 })).json()) as PreviewAnswer
    expect(preview).toMatchObject({ from: 10, to: 25, users: 10_000, leaves: 0 })
    expect(preview.sentence).toBe(
      `${preview.joins.toLocaleString('en-US')} of 10,000 sample users join, nobody leaves`,
    )
    expect(preview.diff.map(({ kind }) => kind)).toEqual(['removed', 'added'])
    expect(await shareIn(room.file)).toBe(10)

    const { hash } = preview
    const body = { share: 25, hash, who: 'Bea', reason: 'looks good' }
    const answer = (await (await room.post('/api/share', body)).json()) as ChangeAnswer
    expect(answer).toMatchObject({ from: 10, to: 25, written: true, confirmed: true })
    expect(answer.servedMs).toBeGreaterThan(0)
    expect(await shareIn(room.file)).toBe(25)
    const history = await room.get<ControlHistory>('/api/history')
    expect(history.at(-1)).toMatchObject({
      action: 'set',
      from: 10,
      to: 25,
      who: 'Bea',
      via: 'control, from 127.0.0.1',
      reason: 'looks good',
    })
    expect(room.audit.at(-1)).toMatchObject({ action: '/api/share', who: 'Bea', outcome: 'done' })
    expect((await room.get<ControlState>('/api/state')).flag.description?.share).toBe(25)

    // Decided on a file that is no longer there.
    const late = await room.post('/api/share', { share: 50, hash })
    expect([late.status, ((await late.json()) as { code: string }).code]).toEqual([
      409,
      'SB_FLAGS_CHANGED',
    ])
    expect(room.audit.at(-1)).toMatchObject({ outcome: 'SB_FLAGS_CHANGED', status: 409 })
    // Who asked is told of what was refused too, on one line; and where the connection is gone.
    const text = await readFile(room.file)
    await writeFile(room.file, '{')
    for (const who of ['ann', 'ann\nby eve: done']) {
      await room.post('/api/rollback', { who }, { connection: 'close' })
      expect(room.audit.at(-1)).toMatchObject({ from: '127.0.0.1', who: who.replace('\n', ' ') })
      expect(room.audit.at(-1)?.status).toBeGreaterThanOrEqual(400)
    }
    await writeFile(room.file, text)
    expect((await room.post('/api/undo')).status).toBe(200)
    expect(await shareIn(room.file)).toBe(10)
  })

  test('events: the history and a state at once, then one a second', async () => {
    const { status, headers, body } = await fetch(`${room.url}/api/events`)
    expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
    const seen: string[] = []
    let text = ''
    for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
      text += chunk
      const frames = text.split('\n\n')
      text = frames.pop() ?? ''
      seen.push(...frames.flatMap((frame) => /^event: (\w+)/m.exec(frame)?.[1] ?? []))
      if (seen.filter((event) => event === 'tick').length >= 3) break
    }
    expect(seen.slice(0, 2)).toEqual(['history', 'tick'])
  })

  test('the series holds what was seen, from a time on', async () => {
    const series = await room.get<ControlSeries>('/api/series')
    const last = series.points.at(-1)!
    expect(last).toHaveLength(series.columns.length)
    expect(last[series.columns.indexOf('off.operations')]).toBeGreaterThan(50)
    expect(last[series.columns.indexOf('share')]).toBeTypeOf('number')
    const since = Math.floor(last[0]!)
    const rest = await room.get<ControlSeries>(`/api/series?since=${since}`)
    expect(rest.points.length).toBeGreaterThan(0)
    expect(rest.points.every(([at]) => (at ?? 0) >= since)).toBe(true)
  })

  test('evidence of nothing stays a number in JSON', async () => {
    const state = await room.get<ControlState>('/api/state')
    expect(state.guard?.metrics[0]?.harm.logEvidence).toBe(-1e6)
  })

  test('six changes of mind at once: the file is whole, the answers are told apart', async () => {
    const answers = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((share) => room.post('/api/share', { share: share * 10 })),
    )
    const done = answers.filter(({ status }) => status === 200)
    expect(done.length).toBeGreaterThan(0)
    for (const { status } of answers) expect([200, 409]).toContain(status)
    JSON.parse(await readFile(room.file, 'utf8'))
  })
})

describe('going back while everything else is on fire', () => {
  test('guard broken, metrics gone: served, with milliseconds, and the process named', async () => {
    await using room = await startRoom({
      share: 40,
      replicas: ['http://127.0.0.1:9/metrics'],
      guard: {
        read() {
          throw new Error('the guard is on fire')
        },
      },
    })
    const answer = (await (await room.post('/api/rollback', { who: 'Cem' })).json()) as ChangeAnswer
    expect(answer).toMatchObject({
      action: 'rollback',
      from: 40,
      to: 0,
      confirmed: false,
      cause: '127.0.0.1:9 refuses the connection',
      processes: { known: 1, deciding: 0, lastMs: null },
    })
    expect(answer.lastMs).toBeGreaterThanOrEqual(answer.servedMs!)
    expect(answer.movers).toBeGreaterThan(20)
    expect(await shareIn(room.file)).toBe(0)
    const state = await room.get<ControlState>('/api/state')
    expect(state.guard).toMatchObject({ mode: 'stopped' })
    expect(state.guard?.sentence).toContain('on fire')
    expect(state.headline.level).toBe('trouble')
    expect(state.headline.sentence).toContain('No metrics')
  })

  test('flagd down: written, not confirmed, and said so', async () => {
    await using room = await startRoom({ share: 40 })
    await room.stopFlagd()
    const answer = (await (await room.post('/api/rollback')).json()) as ChangeAnswer
    expect(answer).toMatchObject({ written: true, confirmed: false, servedMs: null })
    expect(answer.cause).toMatch(/flagd does not answer/)
    expect(await shareIn(room.file)).toBe(0)
    await until('flagd is missed', async () => {
      const { headline } = await room.get<ControlState>('/api/state')
      return headline.findings.some(({ sentence }) => sentence.includes('flagd does not answer'))
    })
  })

  test('a rule that nobody understands: the flag is disabled, with the reason', async () => {
    await using room = await startRoom({ share: 40 })
    const rule = { if: [{ var: 'x' }, { cat: ['o', 'n'] }, 'off'] }
    const flag = {
      state: 'ENABLED',
      variants: { on: true, off: false },
      defaultVariant: 'off',
      targeting: rule,
    }
    await writeFile(room.file, JSON.stringify({ flags: { 'use-redis': flag } }))
    const answer = (await (await room.post('/api/rollback')).json()) as ChangeAnswer
    expect(answer).toMatchObject({
      action: 'disable',
      to: 0,
      written: true,
      warning: expect.stringMatching(/^the flag is disabled, since .*"cat" decides.* an undo/),
    })
    expect(await readFile(room.file, 'utf8')).toContain('"DISABLED"')
  })

  test('a broken flags file is shown, and its mending too', async () => {
    await using room = await startRoom()
    const good = await readFile(room.file, 'utf8')
    await writeFile(room.file, good.slice(0, 80))
    const hasError = async (): Promise<boolean> =>
      (await room.get<ControlState>('/api/state')).flag.error !== null
    await until('the fault is seen', hasError)
    const { headline, flag } = await room.get<ControlState>('/api/state')
    expect(headline).toMatchObject({ level: 'trouble' })
    expect(flag.error).toMatchObject({ code: 'SB_FLAGS_SYNTAX' })
    expect(flag.description?.share).toBe(10)
    await writeFile(room.file, good)
    await until('it is mended', async () => !(await hasError()))
  })
})
