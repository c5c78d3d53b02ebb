import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startSidecar } from '../../src/sidecar/index.ts'
import { startRedis } from '../support/redis-server.ts'

const FLAGS = JSON.stringify({
  flags: {
    'use-redis': {
      state: 'ENABLED',
      variants: { on: true, off: false },
      defaultVariant: 'off',
      targeting: { if: [{ '==': [{ var: 'targetingKey' }, 'new'] }, 'on', 'off'] },
    },
  },
})

/** A process that uses everything, and then says so, closed or not. */
const PROGRAM = `
import {
  createCacheSwitch, createTelemetry, fileCache, flagsFromEnvironment, memoryCache, redisCache,
} from '${new URL('../../dist/index.mjs', import.meta.url).href}'
const { DIRECTORY, REDIS_URL, CLOSE } = process.env
const quiet = () => {}
const flags = await flagsFromEnvironment(process.env, { startMs: 200, onEvent: quiet })
const telemetry = createTelemetry()
const cache = createCacheSwitch({
  flags,
  flag: 'use-redis',
  off: fileCache({ directory: DIRECTORY }),
  on: REDIS_URL === undefined ? memoryCache() : redisCache({ url: REDIS_URL }),
  telemetry,
  onEvent: quiet,
})
for (const user of ['new', 'old']) {
  await cache.for({ targetingKey: user }).getOrSet(user, () => user, { ttl: '1m' })
}
if (CLOSE === 'yes') {
  await cache.close()
  await flags.close()
  telemetry.close()
}
console.log('done')
`

/** Whether the process came to its end by itself, in far more time than that takes. */
async function ends(env: Readonly<Record<string, string>>): Promise<unknown> {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-ends-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'program.mjs')
  writeFileSync(file, PROGRAM)
  writeFileSync(join(directory, 'flags.json'), FLAGS)
  const child = spawn(process.execPath, [file], {
    env: { PATH: process.env['PATH'], DIRECTORY: join(directory, 'cache'), ...env },
    cwd: directory,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [stdout] = (await once(child.stdout, 'data')) as [Buffer]
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const [code, signal] = await once(child, 'exit')
  clearTimeout(late)
  return { said: stdout.toString().trim(), code, signal }
}

const ended = { said: 'done', code: 0, signal: null }
const inFile = { FLAGD_RESOLVER: 'file', FLAGD_OFFLINE_FLAG_SOURCE_PATH: 'flags.json' }
const nobody = { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: '1', REDIS_URL: 'redis://127.0.0.1:1' }

it('a process that has closed cache, flags and telemetry ends: Redis and flagd are there', async () => {
  await using redis = await startRedis()
  const directory = mkdtempSync(join(tmpdir(), 'switchback-ends-flags-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  writeFileSync(join(directory, 'flags.json'), FLAGS)
  const { ports, ...sidecar } = await startSidecar({
    file: join(directory, 'flags.json'),
    ports: { evaluation: 0, management: 0, sync: 0, ofrep: 0 },
  })
  onTestFinished(() => sidecar.close())
  const env = { CLOSE: 'yes', REDIS_URL: redis.url, FLAGD_HOST: '127.0.0.1' }
  const [rpc, inProcess] = [`${ports.evaluation}`, `${ports.sync}`]
  expect(await ends({ ...env, FLAGD_PORT: rpc })).toEqual(ended)
  expect(await ends({ ...env, FLAGD_RESOLVER: 'in-process', FLAGD_PORT: inProcess })).toEqual(ended)
})

it('and so does one whose Redis and flagd never were', async () => {
  expect(await ends({ ...nobody, CLOSE: 'yes' })).toEqual(ended)
  expect(await ends({ ...nobody, CLOSE: 'yes', FLAGD_RESOLVER: 'in-process' })).toEqual(ended)
})

it('one that forgot to close is not kept by what only serves the background', async () => {
  expect(await ends({ ...inFile, CLOSE: 'no' })).toEqual(ended)
})
