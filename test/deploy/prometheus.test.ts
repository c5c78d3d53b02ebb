// @needs promtool
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { locateProgram, promtool } from '../../src/cli/provision/index.ts'
import { type MetricsSource, type Poll, prometheusSource } from '../../src/guard/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'

interface Configuration {
  global: Record<string, string>
  rule_files: string[]
  scrape_configs: {
    job_name: string
    static_configs: { targets: string[] }[]
    metric_relabel_configs?: object[]
  }[]
}

// Debian's package has both.
const server = join(dirname(locateProgram(promtool, process.env) ?? ''), 'prometheus')
const closing: (() => unknown)[] = []
afterAll(async () => {
  for (const close of closing.toReversed()) await close()
})

describe('a real Prometheus with deploy/prometheus', () => {
  let url: string
  let child: ChildProcess
  let file: string
  let shipped: Configuration

  beforeAll(async () => {
    const telemetry = createTelemetry({ meter: false })
    closing.push(() => telemetry.close())
    const app = createServer((_, response) => {
      const bucket = telemetry.bucketOf('user_1')
      for (const side of ['on', 'off'] as const) {
        telemetry.operation(side, 'get', 'hit', 60, bucket)
        telemetry.operation(side, 'get', 'failed', 60, bucket)
      }
      response.setHeader('content-type', 'text/plain; version=0.0.4')
      response.end(telemetry.prometheus())
    })
    app.listen(0, '127.0.0.1')
    await once(app, 'listening')
    closing.push(() => {
      app.closeAllConnections()
      app.close()
    })
    const target = `127.0.0.1:${(app.address() as AddressInfo).port}`

    const directory = await mkdtemp(join(tmpdir(), 'switchback-prometheus-'))
    closing.push(() => rm(directory, { recursive: true, force: true }))
    file = join(directory, 'prometheus.yml')
    shipped = parse(await readFile('deploy/prometheus/prometheus.yml', 'utf8')) as Configuration
    shipped.global = { scrape_interval: '200ms', evaluation_interval: '200ms' }
    shipped.rule_files = [join(process.cwd(), 'deploy/prometheus/alerts.yml')]
    const job = shipped.scrape_configs.find(({ job_name: name }) => name === 'switchback')!
    job.static_configs = [{ targets: [target] }]
    await writeFile(file, stringify(shipped))

    child = spawn(
      server,
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(directory, 'data')}`,
        '--web.listen-address=127.0.0.1:0',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    )
    closing.push(async () => {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    })
    let log = ''
    url = await new Promise((resolve, reject) => {
      child.stderr!.setEncoding('utf8').on('data', (text: string) => {
        log = (log + text).slice(-10_000)
        const address = /msg="Listening on" address=(\S+)/.exec(log)?.[1]
        if (address !== undefined) resolve(`http://${address}`)
      })
      child.once('error', reject)
      child.once('exit', () => reject(new Error(log)))
    })
  })

  /** Polls until it is as wanted. */
  async function until(source: MetricsSource, wanted: (poll: Poll) => boolean): Promise<Poll> {
    for (;;) {
      const poll = await source.poll()
      if (wanted(poll)) return poll
      if (child.exitCode !== null) throw new Error(`prometheus ended: ${child.exitCode}`)
      await sleep(100)
    }
  }

  const source = (): MetricsSource => prometheusSource({ url, matchers: 'job="switchback"' })

  test('keeps all that the guard needs', async () => {
    const { missing, readings } = await until(source(), (poll) => poll.readings.length > 0)
    expect(missing).toEqual([])
    const { on } = readings[0]!.arms
    const all = (list: Float64Array): number => list.reduce((sum, each) => sum + each, 0)
    expect(all(on.operations)).toBeGreaterThan(1)
    expect(all(on.fellBack) + all(on.failed)).toBeGreaterThan(0)
    expect(on.late.get(0.025)).toBeDefined()
  })

  test('takes every query of the rules and of the dashboard', async () => {
    const board = JSON.parse(await readFile('deploy/grafana/dashboard.json', 'utf8')) as {
      panels: { targets: { expr: string }[] }[]
    }
    const queries = board.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    expect(queries.length).toBeGreaterThan(10)
    for (const query of queries) {
      const plain = query.replaceAll(/\$\{?__rate_interval\}?/g, '1m').replaceAll(/\$\w+/g, '.*')
      const at = `${url}/api/v1/query?query=${encodeURIComponent(plain)}`
      const answer = (await (await fetch(at)).json()) as { status: string; error?: string }
      expect([plain, answer.status, answer.error]).toEqual([plain, 'success', undefined])
    }
    const rules = (await (await fetch(`${url}/api/v1/rules`)).json()) as {
      data: { groups: { rules: { name: string; lastError?: string }[] }[] }
    }
    const evaluated = rules.data.groups.flatMap((group) => group.rules)
    expect(evaluated.length).toBeGreaterThan(15)
    expect(evaluated.filter(({ lastError = '' }) => lastError !== '')).toEqual([])
  })

  test('that drops the series by user is named with the rule that does it', async () => {
    const job = shipped.scrape_configs.find(({ job_name: name }) => name === 'switchback')!
    const regex = 'switchback_user_.*'
    job.metric_relabel_configs = [{ source_labels: ['__name__'], regex, action: 'drop' }]
    await writeFile(file, stringify(shipped))
    child.kill('SIGHUP')
    const { missing } = await until(source(), (poll) => poll.missing?.length === 3)
    expect(missing![0]).toMatch(
      /no switchback_user_windows_total: metric_relabel_configs\[0\] of the job "switchback" drops it/,
    )
  })
})
