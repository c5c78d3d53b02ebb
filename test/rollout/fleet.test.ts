import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { startSidecar } from '../../src/sidecar/index.ts'
import { switchback } from '../cli/support.ts'
import { until } from '../support/until.ts'
import { flagsFile } from './support.ts'
import { inFull } from '../support/full.ts'

/** Two that can be stopped, and processes that play several each. */
const PLAYED = inFull([1, 1, 6], [1, 6, 1, 6, 6])
const APPS = PLAYED.reduce((sum, apps) => sum + apps)
const FLAGDS = PLAYED.length

interface Told {
  readonly known: number
  readonly deciding: number
  readonly lagging: readonly { readonly process: string; readonly cause: string }[]
}

/** Which process plays the application. */
function playerOf(app: number): number {
  let before = 0
  return PLAYED.findIndex((count) => (before += count) > app)
}

interface App {
  readonly child: ChildProcess
  readonly address: string
}

async function startApps(port: number, count: number): Promise<App[]> {
  const child = spawn(process.execPath, ['test/support/fleet-app.mjs', String(count)], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env['PATH'],
      FLAGD_HOST: '127.0.0.1',
      FLAGD_PORT: String(port),
      FLAGD_RESOLVER: 'in-process',
      FLAGD_DEADLINE_MS: '30000',
    },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const apps: App[] = []
  for await (const line of createInterface(child.stdout)) {
    apps.push({ child, address: `127.0.0.1:${line}` })
    if (apps.length === count) return apps
  }
  throw new Error('the application has ended')
}

test(`${APPS} processes behind ${FLAGDS} flagds: all confirm a rollback, and two that hang are named`, async () => {
  const file = await flagsFile()
  const ports = { evaluation: 0, management: 0, sync: 0, ofrep: 0 }
  const flagds = await Promise.all(
    Array.from({ length: FLAGDS }, async () => {
      const sidecar = await startSidecar({ file, ports })
      onTestFinished(() => sidecar.close())
      return sidecar.ports.sync
    }),
  )
  const started = PLAYED.map((count, index) => startApps(flagds[index]!, count))
  const apps = (await Promise.all(started)).flat()
  const named = apps.flatMap(({ address }) => ['--metrics', `http://${address}/metrics`])
  const command = (...argv: string[]): ReturnType<typeof switchback> =>
    switchback([...argv, '--file', file, '--no-flagd', ...named])

  // A process that is silent for a second and a half is named, and a busy machine may make it so.
  await until(
    'all confirm',
    async () => {
      await command('set', '50', '--yes')
      const { code, stdout, stderr } = await command('rollback', '--timeout', '60')
      // Nor does Node.js warn of so many that are asked at once.
      expect(stderr).toBe('')
      return code === 0 && stdout.includes(`${APPS} of ${APPS} processes after `)
    },
    120_000,
  )

  // Those that play one each.
  const frozen = apps.filter((_, index) => PLAYED[playerOf(index)] === 1)
  for (const { child } of frozen) child.kill('SIGSTOP')
  let share = 50
  await until(
    'the two are named, and no other',
    async () => {
      const { code, stdout } = await command(
        'set',
        String(share++),
        '--yes',
        '--json',
        '--timeout',
        '60',
      )
      const { processes } = JSON.parse(stdout) as { processes: Told }
      expect([code, processes.known]).toEqual([3, APPS])
      const hang = processes.lagging.filter(({ cause }) => cause.includes('does not answer'))
      const names = hang.map(({ process: name }) => name).toSorted()
      const expected = frozen.map(({ address }) => address).toSorted()
      return processes.deciding === APPS - 2 && names.join() === expected.join()
    },
    120_000,
  )
}, 300_000)
