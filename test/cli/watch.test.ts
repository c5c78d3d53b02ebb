import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { rateOf } from '../../src/cli/watching/arms.ts'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import { startFlagd } from '../support/flagd.ts'
import { switchback } from './support.ts'

/** An application whose counters grow with each scrape. */
async function application(): Promise<string> {
  let scrapes = 0
  const server = createServer((_, response) => {
    scrapes++
    const lines = ['off', 'on'].flatMap((side, index) => [
      `switchback_operations_total{side="${side}",operation="get",outcome="hit"} ${scrapes * 90}`,
      `switchback_operations_total{side="${side}",operation="get",outcome="miss"} ${scrapes * 10}`,
      `switchback_operations_total{side="${side}",operation="get",outcome="failed"} ${scrapes * index * 100}`,
      `switchback_operation_duration_seconds_bucket{side="${side}",le="0.001"} ${scrapes * 50}`,
      `switchback_operation_duration_seconds_bucket{side="${side}",le="+Inf"} ${scrapes * 50}`,
    ])
    response.end(`${lines.join('\n')}\n`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
}

async function place() {
  const cwd = await temporaryDirectory()
  await mkdir(join(cwd, 'flags'))
  const file = join(cwd, 'flags', 'use-redis.json')
  await writeFile(file, usual)
  const flagd = await startFlagd(file)
  return { cwd, env: { SWITCHBACK_FLAGD: flagd.url } }
}

describe('watch', () => {
  it('shows the split, flagd and both sides', async () => {
    const here = await place()
    const metrics = await application()
    const argv = ['watch', '--metrics', metrics, '--interval', '0.1']
    const { code, stdout, stderr } = await switchback([...argv, '--count', '2'], here)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('share     10 %      ####....')
    expect(stdout).toContain('serves what the file says')
    expect(stdout.match(/^ {2}off +[\d,]+ +90\.00 % +0\.00 % +0\.50 ms +0\.99 ms$/gm)).toHaveLength(
      2,
    )
    expect(stdout.match(/^ {2}on +[\d,]+ +90\.00 % +50\.00 % +0\.50 ms/gm)).toHaveLength(2)
    const json = await switchback([...argv, '--count', '1', '--json'], here)
    expect(JSON.parse(json.stdout)).toMatchObject({
      share: 10,
      flagd: { state: 'same', detail: '' },
      metrics: { on: { bad: 0.5, hits: 0.9 } },
    })
    // A file that cannot be read is an error in the same form, and no sentence of success.
    await writeFile(join(here.cwd, 'flags', 'use-redis.json'), '{')
    const broken = await switchback([...argv, '--count', '1', '--json'], here)
    expect(JSON.parse(broken.stdout)).toMatchObject({
      ok: false,
      share: null,
      error: { code: 'SB_FLAGS_SYNTAX' },
    })
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: true, error: null })
  })

  it('shows the processes that answer, and names the one that does not', async () => {
    const here = await place()
    const dead = 'http://127.0.0.1:1/metrics'
    const argv = ['watch', '--metrics', await application(), '--metrics', dead, '--interval', '0.1']
    const { stdout } = await switchback([...argv, '--count', '1'], here)
    expect(stdout).toMatch(/^ {2}on +[\d,]+ +90\.00 % +50\.00 % +0\.50 ms/m)
    expect(stdout).toMatch(/^ {2}silent {4}127\.0\.0\.1:1 refuses the connection$/m)
    const json = await switchback([...argv, '--count', '1', '--json'], here)
    expect(JSON.parse(json.stdout)).toMatchObject({
      metrics: { on: { hits: 0.9 }, missing: ['127.0.0.1:1 refuses the connection'] },
    })
  })

  it('says what the guard waits for while one acts, and nothing of one that is gone', async () => {
    const here = await place()
    const argv = ['watch', '--metrics', 'http://127.0.0.1:1/metrics', '--interval', '0.05']
    const guarded = async (at: number): Promise<string> => {
      const summary = { at, sentence: 'at 10 %, next 25 %: waits for failed 0 of 193' }
      const status = { flag: 'use-redis', name: 'guard of ann@host', summary }
      await writeFile(
        join(here.cwd, 'flags', 'use-redis.guard.status.json'),
        JSON.stringify(status),
      )
      return (await switchback([...argv, '--count', '1'], here)).stdout
    }
    const line = 'guard     at 10 %, next 25 %: waits for failed 0 of 193'
    expect(await guarded(Date.now() + 60_000)).toContain(line)
    expect(await guarded(Date.now() - 60_000)).not.toContain(line)
    const { stdout } = await switchback([...argv, '--count', '1', '--json'], here)
    expect(JSON.parse(stdout)).toMatchObject({ guard: null })
  })

  it('goes on without the application, and Ctrl-C ends it with 0', async () => {
    const here = await place()
    const argv = ['watch', '--metrics', 'http://127.0.0.1:1/metrics', '--interval', '0.05']
    const { code, stdout } = await switchback(argv, { ...here, until: '127.0.0.1:1 refuses' })
    expect(code).toBe(0)
    expect(stdout).toContain('127.0.0.1:1 refuses the connection')
    expect(stdout).toContain('serves what the file says')
  })

  it('takes smaller counters for a restart', () => {
    const arm = (operations: number) => ({
      operations,
      bad: 0,
      hits: 0,
      misses: 0,
      buckets: new Map(),
    })
    expect(rateOf(arm(100), arm(5), 1).perSecond).toBe(0)
    expect(rateOf(arm(5), arm(105), 2)).toMatchObject({ perSecond: 50, bad: 0, hits: undefined })
  })
})
