import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { expectationOf, readFlags } from '../../src/rollout/index.ts'
import { temporaryDirectory } from '../rollout/support.ts'
import { fakeProcess, type FakeSays } from '../support/fake-process.ts'
import { startFlagd } from '../support/flagd.ts'
import { runCommand } from '../support/run-command.ts'

const text = `{
  "flags": {
    "use-redis": {
      "state": "ENABLED",
      "variants": { "on": true, "off": false },
      "defaultVariant": "off",
      "targeting": {
        "if": [
          { "in": [{ "var": "plan" }, ["internal"]] },
          "on",
          { "fractional": [["on", 50], ["off", 50]] }
        ]
      }
    }
  }
}
`

async function place() {
  const cwd = await temporaryDirectory()
  await mkdir(join(cwd, 'flags'))
  const file = join(cwd, 'flags', 'use-redis.json')
  await writeFile(file, text)
  const run = (...argv: string[]) => runCommand(['explain', ...argv], { cwd })
  const json = async (...argv: string[]): Promise<Record<string, unknown>> =>
    JSON.parse((await run(...argv, '--json')).stdout) as Record<string, unknown>
  return { file, run, json }
}

async function app(says: FakeSays): Promise<string> {
  const fake = await fakeProcess(says)
  onTestFinished(() => fake[Symbol.asyncDispose]())
  return fake.url
}

it('tells the side, the line, the place in the split, and what flagd answers', async () => {
  const { file, run, json } = await place()
  const flagd = await startFlagd(file)
  const { code, stdout, stderr } = await run('user_1', '--flagd', flagd.url)
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/side +(new|old) side \((on|off)\): variant "(on|off)"/)
  expect(stdout).toMatch(/not met +line 9: { "in": \[/)
  expect(stdout).toMatch(/decided +line 11: { "fractional"/)
  expect(stdout).toMatch(
    /bucket +[\d.]+ of 100; "(on|off)" reaches from (0|50) to (50|100): [\d.]+ /,
  )
  expect(stdout).toMatch(/by the flag key and the targeting key: "use-redisuser_1"/)
  expect(stdout).toMatch(/flagd +answers (on|off) \(TARGETING_MATCH\)/)
  expect(stdout).toMatch(/apps +not asked: name the app processes with --metrics URL/)

  const pilot = await json('user_1', '--attribute', 'plan=internal', '--flagd', flagd.url)
  expect(pilot).toMatchObject({
    ok: true,
    user: { targetingKey: 'user_1', plan: 'internal' },
    side: 'on',
    conditions: [{ line: 9, met: true }],
    decided: { by: 'variant', line: 10, text: '"on",' },
    flagd: { state: 'same', answer: 'on' },
  })
  expect(await json('', '--flagd', flagd.url)).toMatchObject({
    side: 'off',
    decided: { by: 'default', line: 6 },
    flagd: { state: 'same', reason: 'DEFAULT' },
  })
})

it('tells by their definition whether processes decide the same, and who does not answer', async () => {
  const { file, run, json } = await place()
  const { hash, probes } = expectationOf(readFlags(text), 'use-redis')
  const same = await app({ on: 50, hash })
  const other = await app({ on: 50, hash: 'deadbeefdeadbeef' })
  const rpc = await app({ on: 50, probes, hash: '', mode: 'rpc' })
  const off = ['--no-flagd', '--metrics', same]
  expect((await run('user_1', ...off)).code).toBe(0)
  const all = await run('user_1', ...off, '--metrics', other, '--metrics', rpc)
  expect(all.code).toBe(1)
  expect(all.stdout).toMatch(/app .*: same definition of the flag: it decides as the file does, /)
  expect(all.stdout).toMatch(
    /app .*: another definition of the flag: it does not decide as the file/,
  )
  expect(all.stdout).toMatch(/app .*: cannot be asked for one user, .* 50 of 100 probe users/)
  const gone = await json('user_1', ...off, '--metrics', 'http://127.0.0.1:1/metrics')
  expect(gone).toMatchObject({ ok: false, processes: [{ state: 'same' }, { state: 'silent' }] })
  expect((await run('user_1', ...off, '--metrics', 'http://127.0.0.1:1/metrics')).code).toBe(3)

  // The cache's name decides here.
  const changed = text.replace('"plan"', '"feature"').replace('"internal"', '"users"')
  await writeFile(file, changed)
  const features = expectationOf(readFlags(changed), 'use-redis')
  const named = await app({ on: 100, hash: features.hash, feature: 'users' })
  expect(await json('user_1', '--no-flagd', '--metrics', named)).toMatchObject({
    processes: [{ state: 'same', side: 'on' }],
  })
})

it('status asks the processes too: who does not decide what the file says, and who does not answer', async () => {
  const { file } = await place()
  const { hash } = expectationOf(readFlags(text), 'use-redis')
  const same = await app({ on: 50, hash })
  const behind = await app({ on: 100, hash: 'deadbeefdeadbeef' })
  const status = (...argv: string[]) =>
    runCommand(['status', '--file', file, '--no-flagd', ...argv])
  expect((await status()).stdout).toMatch(/apps +not asked: no app process is known; name each/)
  const well = await status('--metrics', same)
  expect(well.stdout).toMatch(/apps +1 of 1 process decides what the file says/)
  expect(well.code).toBe(0)
  const lagging = await status('--metrics', same, '--metrics', behind)
  expect(lagging.code).toBe(1)
  expect(lagging.stdout).toMatch(/apps +1 of 2 processes decide what the file says/)
  expect(lagging.stdout).toMatch(/127\.0\.0\.1:\d+ decides 100 % instead of \d+ %/)
  const gone = await status('--json', '--metrics', same, '--metrics', 'http://127.0.0.1:1/metrics')
  expect(gone.code).toBe(3)
  expect(JSON.parse(gone.stdout)).toMatchObject({
    ok: false,
    processes: {
      known: 2,
      deciding: 1,
      lagging: [{ process: '127.0.0.1:1', cause: 'refuses the connection' }],
    },
  })
  const wrong = await status('--metrics', 'foo')
  expect([wrong.code, wrong.stdout]).toEqual([2, ''])
  expect(wrong.stderr).toContain('--metrics: "foo" is not a metrics URL')
})

it('an address that is not of a process of ours is told as such, with what to do', async () => {
  const { file } = await place()
  const server = createServer((request, response) => {
    response.end(request.url === '/page' ? '<!doctype html><p>hello' : 'go_goroutines 7\n')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const rollback = (path: string) => {
    const metrics = ['--metrics', `http://127.0.0.1:${port}${path}`, '--timeout', '0.5']
    return runCommand(['rollback', '--file', file, '--no-flagd', ...metrics])
  }
  const page = await rollback('/page')
  expect(page.code).toBe(3)
  expect(page.stdout).toMatch(/lagging +127\.0\.0\.1:\d+ does not answer with metrics \(/)
  expect(page.stdout).toMatch(/next +.*check its metrics URL/)
  const other = await rollback('/metrics')
  expect(other.stdout).toMatch(
    /next +name the metrics URL of a process with a cache on "use-redis"/,
  )
  expect(other.stdout).not.toMatch(/readyz/)
})

it.each([
  [[], 'explain needs a user'],
  [['a', 'b'], '"b"'],
  [['a', '--attribute', 'plan'], '--attribute "plan" lacks a value'],
  [['a', '--attribute', '=x'], 'lacks a name'],
  [['a', '--attribute', 'targetingKey=b'], 'is not an attribute'],
  [['a', '--metrics', 'foo'], '--metrics: "foo" is not a metrics URL'],
])('refuses %j in one line', async (argv, words) => {
  const { file, run } = await place()
  const { code, stdout, stderr } = await run(...argv)
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toContain(words)
  expect(await readFile(file, 'utf8')).toBe(text)
})
