import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { guardFiles } from '../../src/guard/index.ts'
import { readExposition } from '../telemetry/strict-exposition.ts'
import { guardRunner } from './run-guard.ts'
import { deploy } from './deployment.ts'

const run = guardRunner()

test('runs along a plan file, tells every decision, and exits 1 when it went back', async () => {
  const deployment = await deploy(0)
  const plan = join(deployment.file, '..', 'rollout.yaml')
  await writeFile(plan, deployment.plan)
  const { file, flagd } = deployment
  const options = ['--file', file, '--flagd', flagd, '--plan', plan, '--until-done', '--json']
  const { code, stdout, stderr } = await run(options, (text) => {
    if (text.includes('"to":10')) deployment.errors = 0.3
  })
  expect([code, stderr]).toEqual([1, ''])
  const lines = stdout.trimEnd().split('\n')
  const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(entries.map(({ action }) => action)).toEqual(['start', 'advance', 'rollback', 'stop'])
  expect(entries[2]).toMatchObject({ from: 10, to: 0, confirmed: true })
  expect(await deployment.share()).toBe(0)
})

test('a dry run speaks to people and touches nothing', async () => {
  const deployment = await deploy(10)
  const before = await readFile(deployment.file, 'utf8')
  const stop = new AbortController()
  const { file, flagd, metrics } = deployment
  const plan = join(file, '..', 'rollout.yaml')
  await writeFile(
    plan,
    '{ steps: [10, 50], hold: 1s, settle: 0s, baselineTime: 0s, interval: 100ms }',
  )
  const { code, stdout } = await run(
    ['--file', file, '--flagd', flagd, '--metrics', metrics, '--plan', plan, '--dry-run'],
    (text) => {
      if (text.includes('would advance')) stop.abort()
    },
    AbortSignal.any([stop.signal, AbortSignal.timeout(20_000)]),
  )
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /would advance 10 % -> 50 %: every metric is within its harm for the next step/,
  )
  expect(await readFile(file, 'utf8')).toBe(before)
  await expect(readFile(guardFiles(file, 'use-redis').state)).rejects.toMatchObject({
    code: 'ENOENT',
  })
})

test('what the running guard waits for is told by another process; without one it says so', async () => {
  const { file, flagd, plan: text } = await deploy(10)
  const plan = join(file, '..', 'rollout.yaml')
  await writeFile(plan, text.replace('hold: 1s', 'hold: 1h'))
  expect(await run(['--file', file, '--status'])).toMatchObject({
    code: 1,
    stdout: 'no guard runs for use-redis\n',
  })
  const stop = new AbortController()
  let told: { code: number; stdout: string }[] | undefined
  await run(
    ['--file', file, '--flagd', flagd, '--plan', plan],
    (output) => {
      if (!output.includes('lasts') || told !== undefined) return
      told = []
      void Promise.all([
        run(['--file', file, '--status']),
        run(['--file', file, '--status', '--json']),
      ])
        .then((both) => (told = both))
        .finally(() => stop.abort())
    },
    AbortSignal.any([stop.signal, AbortSignal.timeout(20_000)]),
  )
  const [people, machines] = told!
  expect(people).toMatchObject({ code: 0 })
  expect(people!.stdout).toMatch(
    /^guard of .* acts on use-redis, heard \d+ s ago\n {2}at 10 %, next 50 %: /,
  )
  expect(people!.stdout).toMatch(/ failed +on 0 of \d+, off 0 of \d+; .* allowed 0\.1 %/)
  expect(people!.stdout).toContain('late is above 25 ms')
  const status = JSON.parse(machines!.stdout) as { summary: { plan: unknown; waits: string[] } }
  expect(status).toMatchObject({ ok: true, running: true, summary: { mode: 'acting', epoch: 1 } })
  expect(await run(['--file', file, '--status'])).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('was heard last'),
  })
})

test('an approval on the command line lets a waiting guard go on', async () => {
  const { file, flagd, plan: text } = await deploy(10)
  const plan = join(file, '..', 'rollout.yaml')
  await writeFile(plan, text)
  let approved: Promise<{ code: number }> | undefined
  const { code } = await run(
    ['--file', file, '--flagd', flagd, '--plan', plan, '--ask', '--until-done'],
    (output) => {
      if (output.includes('approve 50 %')) approved ??= run(['--file', file, '--approve', '50'])
    },
  )
  expect([code, (await approved)?.code]).toEqual([0, 0])
})

test('an approval that no guard waits for is refused, and nothing is left behind', async () => {
  const { file, flagd, plan: text } = await deploy(10)
  const approve = async (percent: string): Promise<[number, string]> => {
    const { code, stdout, stderr } = await run(['--file', file, '--approve', percent])
    return [code, stdout + stderr]
  }
  const refused = 'no guard is waiting for 25 %; nothing was approved\n'
  expect(await approve('25')).toEqual([1, refused])
  const plan = join(file, '..', 'rollout.yaml')
  await writeFile(plan, text)
  const stop = new AbortController()
  let wrong: Promise<[number, string]> | undefined
  await run(
    ['--file', file, '--flagd', flagd, '--plan', plan, '--ask'],
    (output) => {
      if (!output.includes('approve 50 %')) return
      wrong ??= approve('25').finally(() => stop.abort())
    },
    AbortSignal.any([stop.signal, AbortSignal.timeout(20_000)]),
  )
  expect(await wrong).toEqual([1, refused.replace(';', ', but for 50 %;')])
  // It was stopped while it waited for 50, and its lease went with it.
  const lease = basename(guardFiles(file, 'use-redis').lease)
  const left = await readdir(dirname(file))
  expect(left.filter((name) => name.startsWith(lease))).toEqual([])
  expect(await approve('50')).toEqual([1, refused.replace('25', '50')])
  await expect(readFile(`${guardFiles(file, 'use-redis').state}.approve`)).rejects.toThrow('ENOENT')
})

test.each([
  [['--approve', 'x'], 2, '"x" is not a share'],
  [['--plan', '/nowhere.yaml'], 2, 'cannot be read'],
  [
    ['--metrics', 'http://a', '--prometheus', 'http://b'],
    2,
    '--metrics and --prometheus exclude each other',
  ],
  [['--from', '10'], 2, '--from without --resume'],
  [['--resume', '--from', '7'], 2, '"7" is not a step of the plan'],
  [['--metrics', 'nowhere'], 2, '--metrics: "nowhere" is not a metrics URL'],
])('%j is refused with the remedy', async (argv, expected, text) => {
  const { file } = await deploy(10)
  const { code, stderr } = await run(['--file', file, '--no-flagd', ...argv])
  expect([code, stderr]).toEqual([expected, expect.stringContaining(text)])
})

test('its own metrics and whether it still looks, where --listen says', async () => {
  const { file, flagd, plan: text } = await deploy(10)
  const plan = join(file, '..', 'rollout.yaml')
  await writeFile(plan, text)
  const stop = new AbortController()
  let found: Promise<readonly [number, string, number]> | undefined
  const { code } = await run(
    ['--file', file, '--flagd', flagd, '--plan', plan, '--listen', '0'],
    (output) => {
      const url = /^metrics: (http:\S+)\/metrics$/m.exec(output)?.[1]
      if (url === undefined) return
      expect(new URL(url).hostname).toBe('127.0.0.1')
      found = (async () => {
        for (;;) {
          const metrics = await (await fetch(`${url}/metrics`)).text()
          const { status } = await fetch(`${url}/healthz`)
          const other = await fetch(url, { method: 'POST' })
          if (!metrics.includes('decisions_total{flag="use-redis",action="advance"} 1')) {
            // The guard that is waited for is in this process.
            await setTimeout(50)
            continue
          }
          stop.abort()
          return [status, metrics, other.status] as const
        }
      })()
    },
    AbortSignal.any([stop.signal, AbortSignal.timeout(20_000)]),
  )
  expect(code).toBe(0)
  const [status, metrics, other] = await found!
  expect([status, other]).toEqual([200, 405])
  readExposition(metrics)
  expect(metrics).toContain('switchback_guard_mode{flag="use-redis",mode="acting"} 1\n')
  expect(metrics).toMatch(/switchback_guard_expected_split_ratio\{flag="use-redis"\} 0\.\d+\n/)
  expect((await run(['--file', file, '--listen', 'nowhere'])).code).toBe(2)
})
