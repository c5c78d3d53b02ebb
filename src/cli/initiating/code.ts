import type { Framework, Project } from './project.ts'

/** Lines for a framework; `typed` where only TypeScript takes them. */
interface Snippet {
  readonly imports: readonly string[]
  /** Besides what opens the cache. */
  readonly names: readonly string[]
  readonly body: (typed: boolean) => string
}

const USER = "String(request.headers['x-user-id'] ?? 'anonymous')"
const GREETING = "cache.getOrSet('greeting', loadGreeting, { ttl: '10m' })"
const IN_MAIN = (lines: readonly string[]): string =>
  [
    'async function main() {',
    '  const { cache, close } = await openCache()',
    ...lines.map((line) => `  ${line}`),
    '}',
    'main()',
  ].join('\n')
const STOP = "process.once('SIGTERM', () => server.close(close))"

const SNIPPETS: Readonly<Record<Framework, Snippet>> = {
  fastify: {
    imports: ["import Fastify from 'fastify'"],
    names: ['runAs'],
    body: () =>
      IN_MAIN([
        'const app = Fastify()',
        '// The user of a request: take the id from your authentication.',
        `app.addHook('onRequest', (request, reply, done) => runAs(${USER}, done))`,
        `app.get('/greeting', () => ${GREETING})`,
        "app.addHook('onClose', close)",
        'await app.listen({ port: 3000 })',
      ]),
  },
  express: {
    imports: ["import express from 'express'"],
    names: ['runAs'],
    body: () =>
      IN_MAIN([
        'const app = express()',
        '// The user of a request: after your authentication, before the routes.',
        `app.use((request, response, next) => runAs(${USER}, next))`,
        "app.get('/greeting', async (request, response) => {",
        `  response.send(await ${GREETING})`,
        '})',
        'const server = app.listen(3000)',
        STOP,
      ]),
  },
  koa: {
    imports: ["import Koa from 'koa'"],
    names: ['runAs'],
    body: () =>
      IN_MAIN([
        'const app = new Koa()',
        '// The user of a request: after your authentication.',
        "app.use((context, next) => runAs(context.get('x-user-id') || 'anonymous', next))",
        'app.use(async (context) => {',
        `  context.body = await ${GREETING}`,
        '})',
        'const server = app.listen(3000)',
        STOP,
      ]),
  },
  next: {
    imports: [],
    names: ['runAs'],
    body: (typed) =>
      [
        '// One cache for the process: opened by the first request, not by `next build`.',
        `let opening${typed ? ': ReturnType<typeof openCache> | undefined' : ''}`,
        '',
        '// app/greeting/route: the user is the id of your session.',
        `export async function GET(request${typed ? ': Request' : ''}) {`,
        '  const { cache } = await (opening ??= openCache())',
        "  const user = request.headers.get('x-user-id') ?? 'anonymous'",
        `  return new Response(await runAs(user, () => ${GREETING}))`,
        '}',
      ].join('\n'),
  },
  nestjs: {
    imports: [
      "import { Global, Inject, Module } from '@nestjs/common'",
      "import type { MiddlewareConsumer, NestModule, OnApplicationShutdown } from '@nestjs/common'",
    ],
    names: ['runAs'],
    body: () => `// Import CacheModule in the module of the application, and call app.enableShutdownHooks().
export const CACHE = 'CACHE'

@Global()
@Module({
  providers: [
    { provide: 'OPEN', useFactory: openCache },
    { provide: CACHE, useFactory: (open: Open) => open.cache, inject: ['OPEN'] },
  ],
  exports: [CACHE],
})
export class CacheModule implements NestModule, OnApplicationShutdown {
  constructor(@Inject('OPEN') private readonly open: Open) {}

  configure(consumer: MiddlewareConsumer): void {
    // The user of a request: take the id from your authentication.
    consumer
      .apply((request: { headers: Record<string, unknown> }, response: unknown, next: () => void) =>
        runAs(${USER}, next),
      )
      .forRoutes('*')
  }

  onApplicationShutdown(): Promise<void> {
    return this.open.close()
  }
}

type Open = Awaited<ReturnType<typeof openCache>>
// In a service: constructor(@Inject(CACHE) private readonly cache: CacheService) {}
// then this.${GREETING}`,
  },
  plain: {
    imports: [],
    names: [],
    body: () =>
      IN_MAIN([
        '// The user decides the side: one view for each.',
        "const view = cache.for({ targetingKey: 'user_1' })",
        "console.log(await view.getOrSet('greeting', loadGreeting, { ttl: '10m' }))",
        'await close()',
      ]),
  },
}

/** The code to begin with, for the framework and the kind of modules of the project. */
export function codeFor({ framework, language }: Project, flag: string): string {
  const { imports, names, body } = SNIPPETS[framework]
  const all = ['createCacheSwitch', 'fileCache', 'flagsFromEnvironment', 'redisCache', ...names]
  const code = `${[...imports, `import { ${all.join(', ')} } from 'openfeature-switchback'`].join('\n')}

async function openCache() {
  const flags = await flagsFromEnvironment(process.env)
  const cache = createCacheSwitch({
    flags,
    flag: '${flag}',
    off: fileCache({ directory: '.cache/switchback' }), // the old side
    on: redisCache({ url: process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379' }), // the new side
  })
  const close = async () => {
    await cache.close()
    await flags.close()
  }
  return { cache, close }
}

const loadGreeting = async () => 'hello' // your origin: a database, an API

${body(language === 'ts')}
`
  return language === 'cjs'
    ? code.replaceAll(/^import (.+) from ('.+')$/gm, 'const $1 = require($2)')
    : code
}

/** `flags/use-redis.json`: served by flagd, beside the Redis of the new side. */
export function composeFor(directory: string, file: string): string {
  const sources = JSON.stringify([{ uri: `/etc/flagd/${file}`, provider: 'fsnotify' }])
  return `# flagd serves the flags file, Redis is the new side: docker compose -f compose.switchback.yaml up -d
services:
  flagd:
    image: ghcr.io/open-feature/flagd:v0.16.1
    command: [start, --sources, '${sources}']
    environment: { HOME: /tmp, OTEL_TRACES_EXPORTER: none }
    volumes:
      # The directory, never the file: a mounted file is not seen again once it was replaced.
      - { type: bind, source: ${JSON.stringify(directory)}, target: /etc/flagd, read_only: true }
    ports: ['127.0.0.1:8013:8013', '127.0.0.1:8014:8014', '127.0.0.1:8015:8015', '127.0.0.1:8016:8016']
    restart: unless-stopped

  redis:
    image: redis:8-alpine
    # Nothing is written to disk: it is a cache. When memory is short, only what expires goes.
    command: [redis-server, --save, '', --appendonly, 'no', --maxmemory, 256mb, --maxmemory-policy, volatile-lru]
    ports: ['127.0.0.1:6379:6379']
    restart: unless-stopped
`
}
