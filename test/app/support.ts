import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { pino, type Logger } from 'pino'
import { onTestFinished } from 'vitest'
import {
  MemoryUserRepository,
  startService,
  type Service,
  type UserRepository,
} from '../../src/app/index.ts'
import { fileCache, type CacheBackend } from '../../src/cache/index.ts'
import type { Side } from '../../src/side.ts'
import { createCacheSwitch, type CacheSwitch } from '../../src/switch/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { UserDecider } from './user-decider.ts'

export interface TestService {
  readonly url: string
  readonly service: Service
  readonly cache: CacheSwitch
  /** Which side each user is on; whoever is not named is on `off`. */
  readonly sides: Map<string, Side>
  /** Origin loads so far. */
  loads(): number
  /** Everything logged so far, as text. */
  log(): string
  close(): Promise<void>
}

export interface TestServiceOptions {
  readonly repository?: UserRepository
  readonly on?: CacheBackend
  readonly drainMs?: number
}

/** The service in this process, on a free port, with two real file caches as its sides. */
export async function openService(options: TestServiceOptions = {}): Promise<TestService> {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-app-'))
  const sides = new Map<string, Side>()
  const { logger, log } = capturedLog()
  const origin = new CountingRepository(
    options.repository ?? new MemoryUserRepository({ latencyMs: 5 }),
  )
  const telemetry = createTelemetry()
  const cache = createCacheSwitch({
    flag: 'use-redis',
    off: fileCache({ directory: join(directory, 'off') }),
    on: options.on ?? fileCache({ directory: join(directory, 'on') }),
    decider: new UserDecider(sides),
    telemetry,
  })
  const service = await startService({
    cache,
    repository: origin,
    telemetry,
    logger,
    http: { host: '127.0.0.1', port: 0 },
    metrics: { host: '127.0.0.1', port: 0 },
    ...(options.drainMs === undefined ? {} : { drainMs: options.drainMs }),
  })
  const close = async (): Promise<void> => {
    await service.close()
    await cache.close()
    telemetry.close()
    rmSync(directory, { recursive: true, force: true })
  }
  return { url: service.url, service, cache, sides, loads: () => origin.loads, log, close }
}

/** The same, closed when the test ends. */
export async function serviceForTest(options: TestServiceOptions = {}): Promise<TestService> {
  const opened = await openService(options)
  onTestFinished(() => opened.close())
  return opened
}

class CountingRepository implements UserRepository {
  readonly #inner: UserRepository
  loads = 0

  constructor(inner: UserRepository) {
    this.#inner = inner
  }

  load(userId: string): Promise<string> {
    this.loads += 1
    return this.#inner.load(userId)
  }

  save(userId: string, data: string): Promise<void> {
    return this.#inner.save(userId, data)
  }
}

function capturedLog(): { readonly logger: Logger; readonly log: () => string } {
  const stream = new PassThrough()
  let text = ''
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
  })
  return { logger: pino({ level: 'trace' }, stream), log: () => text }
}

/** The answer with the headers that tests look at. */
export async function ask(
  url: string,
  init: RequestInit = {},
): Promise<{
  readonly status: number
  readonly side: string | null
  readonly cache: string | null
  readonly servedBy: string | null
  readonly contentType: string | null
  readonly body: unknown
}> {
  const response = await fetch(url, init)
  const text = await response.text()
  const contentType = response.headers.get('content-type')
  return {
    status: response.status,
    side: response.headers.get('x-switchback-side'),
    cache: response.headers.get('x-switchback-cache'),
    servedBy: response.headers.get('x-switchback-served-by'),
    contentType,
    body: contentType?.includes('json') === true && text !== '' ? JSON.parse(text) : text,
  }
}

export function put(data: unknown): RequestInit {
  return {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data }),
  }
}
