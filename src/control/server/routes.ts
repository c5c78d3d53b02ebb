import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { GuardOrder } from '../guard-view.ts'
import { COLUMNS } from '../page/charts/columns.ts'
import type { Room } from '../state/room.ts'
import type { ChangeAnswer, ControlInfo, ControlSeries } from '../state/state.ts'
import type { Changer } from './changer.ts'
import type { EventHub } from './event-hub.ts'
import { openApi } from './openapi.ts'
import { requestSchemas } from './schemas.ts'

export interface RouteOptions {
  readonly room: Room
  readonly changer: Changer
  readonly hub: EventHub
  readonly info: ControlInfo
}

/** A query is text. */
const SECONDS = { type: 'string', pattern: String.raw`^\d{1,11}(\.\d{1,6})?$` } as const

/** The API, as `openapi.ts` documents it. */
export function apiRoutes(app: FastifyInstance, options: RouteOptions): void {
  const { room, changer, hub, info } = options

  app.get('/healthz', () => ({ status: 'ok' }))
  // Without a guard it is empty, and the page is there all the same.
  app.get('/metrics', (_request, reply) => {
    reply.header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
    return room.guardMetrics
  })
  app.get('/openapi.json', () => openApi(info.version))
  app.get('/api/info', () => info)
  app.get('/api/state', () => room.state)
  app.get('/api/history', () => room.history)
  app.get<{ Querystring: { since?: string } }>(
    '/api/series',
    { schema: { querystring: { type: 'object', properties: { since: SECONDS } } } },
    ({ query }): ControlSeries => ({
      boot: room.boot,
      columns: COLUMNS,
      points: room.series.since(Number(query.since ?? 0)),
    }),
  )
  app.get('/api/events', (_request, reply) => {
    hub.checkRoom()
    reply.header('content-type', 'text/event-stream; charset=utf-8')
    reply.hijack()
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value)
    }
    reply.raw.setHeader('cache-control', 'no-store')
    reply.raw.setHeader('x-accel-buffering', 'no')
    hub.add(reply.raw, [
      ['history', room.history],
      ['tick', room.state],
    ])
  })

  app.post<{ Body: { share: number } }>(
    '/api/preview',
    { schema: { body: requestSchemas.preview } },
    ({ body }, reply) => {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      return changer.preview(body.share, gone.signal)
    },
  )

  const change = <Body>(
    url: string,
    body: object,
    run: (body: Body, request: FastifyRequest) => Promise<ChangeAnswer>,
  ): void => {
    app.post<{ Body: Body }>(url, { schema: { body } }, async (request) => {
      const answer = await run(request.body as Body, request)
      // A failing observer must not make the change look failed.
      await room.refresh().catch(() => {})
      return answer
    })
  }
  change('/api/share', requestSchemas.share, changer.share.bind(changer))
  change('/api/rollback', requestSchemas.rollback, changer.rollBack.bind(changer))
  change('/api/undo', requestSchemas.undo, changer.undo.bind(changer))

  app.post<{ Body: { share: number; who?: string } }>(
    '/api/approve',
    { schema: { body: requestSchemas.approve } },
    async ({ body }) => {
      await room.approve(body.share, body.who ?? info.operator)
      return { approved: body.share }
    },
  )
  app.post<{ Body: { kind: GuardOrder['kind']; to?: number; who?: string } }>(
    '/api/guard',
    { schema: { body: requestSchemas.guard } },
    async ({ body: { kind, to = 0, who = '' } }) => {
      const by = who.trim() === '' ? info.operator : who.trim()
      await room.order(kind === 'promote' ? { kind, to, who: by } : { kind, who: by })
      return { ordered: kind }
    },
  )
}
