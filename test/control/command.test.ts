import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startControlProcess } from '../support/control-process.ts'
import { flagsFile, raw, shareIn } from '../support/control-room.ts'

let flags: Awaited<ReturnType<typeof flagsFile>>
beforeAll(async () => {
  flags = await flagsFile(30)
})
afterAll(() => flags?.remove())

/** Runs it until it ends by itself. */
async function refused(...args: string[]): Promise<[code: number, stderr: string]> {
  const all = ['dist/cli/bin.js', 'control', '--file', flags.file, '--port', '0', ...args]
  const child = spawn(process.execPath, all, { stdio: ['ignore', 'ignore', 'pipe'] })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number]
  return [code, stderr]
}

test('for others than this machine it needs a token, and says how', async () => {
  const [code, stderr] = await refused('--host', '0.0.0.0')
  expect([code, stderr]).toEqual([2, expect.stringContaining('SWITCHBACK_CONTROL_TOKEN')])
})

test('wrong options are usage errors', async () => {
  expect(await refused('--guard', 'please')).toEqual([
    2,
    expect.stringContaining('act, ask, watch'),
  ])
  expect((await refused('--port', '99999'))[0]).toBe(2)
})

test('a token file; names of a proxy; the guard off; SIGTERM ends it', async () => {
  const tokenFile = join(dirname(flags.file), 'token')
  await writeFile(tokenFile, 'a-token-from-a-file\n')
  const options = [
    '--no-flagd',
    '--no-metrics',
    '--guard',
    'off',
    '--allow-host',
    'control.internal',
  ]
  await using control = await startControlProcess({
    args: ['--file', flags.file, '--port', '0', '--token-file', tokenFile, ...options],
  })
  const { status, body } = await raw(control.url, {
    path: '/api/state',
    headers: { host: 'control.internal' },
  })
  expect(status).toBe(200)
  expect(JSON.parse(body)).toMatchObject({ guard: null, headline: { level: 'unknown' } })
  const post = (token: string): Promise<Response> =>
    fetch(`${control.url}/api/rollback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: '{}',
    })
  expect((await post('a-token-of-my-own-xx')).status).toBe(401)
  expect((await post('a-token-from-a-file')).status).toBe(200)
  expect(await shareIn(flags.file)).toBe(0)
  expect(await control.stop()).toBe(0)
})
