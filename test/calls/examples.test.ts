import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { startRedis } from '../support/redis-server.ts'

const DIRECTORY = join(import.meta.dirname, '..', '..', 'examples', 'any-implementation')

/** Runs an example as a person does, on what was built. */
async function run(name: string, ...args: readonly string[]): Promise<string[]> {
  const file = join(DIRECTORY, `${name}.mjs`)
  const { stdout } = await promisify(execFile)(process.execPath, [file, ...args])
  return stdout.trimEnd().split('\n')
}

test('a search index: dual write, shadow reads, half of the users, broken, taken back', async () => {
  expect(await run('search')).toEqual([
    'both sides have 3 hits for "flag"',
    'at 0 %: 0 of 100 users are served by the new index',
    'shadow reads: mismatch: find: the sides differ at hits[1]: undefined, not string; tokenizer: string, not string',
    'at 50 %: about half, true',
    'new index broken: 100 of 100 requests answered',
    'taken back: 0 of 100 users are served by the new index',
  ])
})

test('a mail vendor: compared, and what it fails is told once and sent by nobody else', async () => {
  expect(await run('vendor')).toEqual([
    'at 0 %: 100 sent',
    'compared: price: the sides differ at cents: 10, not 9',
    'at 100 %: 98 sent, 2 new says 500',
    'a 404 is an answer: new says 404',
    'a vendor that hangs: SB_DEADLINE',
    'taken back: 100 sent',
    '298 messages were sent by 300 requests',
  ])
})

test('a token stream: another model before the first token, the error after it', async () => {
  expect(await run('tokens')).toEqual([
    'at 0 %: old: PUT IT BACK (off ok, served by off)',
    'compared: count: the sides differ at tokens: 3, not 4',
    'at 100 %: new: PUT IT BACK (on ok, served by on)',
    'hangs before it begins: old: PUT IT BACK (on timed_out, served by off)',
    'dies in mid-stream: new: [connection reset] (on failed, served by on)',
    'taken back: old: PUT IT BACK (off ok, served by off)',
  ])
})

test('a key-value database on two Redis: written on both, copied after an outage', async () => {
  await using off = await startRedis()
  await using on = await startRedis()
  expect(await run('key-value', off.url, on.url)).toEqual([
    'at 50 %: 100 of 100 users read what was written',
    'the new one was out, taken back: 100 writes have to be copied',
    'compared: mismatch: get: the sides differ at the result: string, not string',
    'copied what was left, at 100 %: 100 of 100 users read what was written',
  ])
})
