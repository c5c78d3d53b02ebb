import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { flagsFromEnvironment } from '../../src/flags/index.ts'
import type { Environment } from '../../src/flags/index.ts'
import { changedLines, readFlags, rollBack } from '../../src/rollout/index.ts'
import { SyncServer } from '../support/flags-sync-server.ts'

const split = (on: number): object => ({
  fractional: [
    ['on', on],
    ['off', 100 - on],
  ],
})
const flag = (on: number): object => ({
  state: 'ENABLED',
  defaultVariant: 'off',
  variants: { off: false, on: true },
  targeting: { if: [{ in: [{ var: 'plan' }, ['a', 'b']] }, 'on', split(on)] },
  source: 'flags.json',
  metadata: { owner: 'some-team', note: 'x'.repeat(40) },
})

/** A flagd that every team shares, and one flag of ours. */
const MANY = {
  flags: {
    ...Object.fromEntries(
      Array.from({ length: 5_000 }, (_, index) => [`team-flag-${index}`, flag(index % 100)]),
    ),
    'use-redis': { ...flag(0), targeting: split(100) },
  },
}

const directory = mkdtempSync(join(tmpdir(), 'switchback-many-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

async function side(environment: Environment): Promise<boolean> {
  await using source = await flagsFromEnvironment(environment, { startMs: 30_000 })
  return source.client().getBooleanValue('use-redis', false, { targetingKey: 'user_1' })
}

test('one flag among 5,000 of other teams decides in-process and from a file', async () => {
  const text = JSON.stringify(MANY)
  expect(text.length).toBeGreaterThan(1_300_000)
  const [server, port] = await SyncServer.start(MANY)
  await using _ = server
  const host = { FLAGD_HOST: '127.0.0.1', FLAGD_DEADLINE_MS: '10000' }
  const inProcess = { ...host, FLAGD_RESOLVER: 'in-process', FLAGD_SYNC_PORT: String(port) }
  expect(await side(inProcess)).toBe(true)
  const file = join(directory, 'flags.json')
  writeFileSync(file, text)
  expect(await side({ FLAGD_OFFLINE_FLAG_SOURCE_PATH: file })).toBe(true)
})

test('a rollback of it changes its lines and no other', () => {
  const text = JSON.stringify(MANY, undefined, 2)
  const { after } = rollBack(readFlags(text), { flag: 'use-redis' })
  const lines = changedLines(text, after.text)
  expect(lines.length).toBeGreaterThan(0)
  expect(lines.length).toBeLessThanOrEqual(4)
  expect(lines.filter(({ kind }) => kind === 'removed').map(({ line }) => line.trim())).toEqual(
    expect.arrayContaining(['100']),
  )
})
