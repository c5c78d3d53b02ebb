// How long until the last process of a fleet decides a change, from the write: 20 apps behind 5 flagds
// (the embedded sidecar), all of them processes; and how soon frozen ones are named.
//   npm run build && node bench/fleet.mjs [rounds]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { changeBack, changeShare } from '../build/rollout/index.js'

const APPS = 20
const FLAGDS = 5
const rounds = Number(process.argv[2] ?? 100)
const directory = mkdtempSync(join(tmpdir(), 'switchback-fleet-'))
const file = join(directory, 'use-redis.json')
writeFileSync(
  file,
  `{ "flags": { "use-redis": { "state": "ENABLED", "variants": { "on": true, "off": false },
  "defaultVariant": "off", "targeting": { "fractional": [["on", 0], ["off", 100]] } } } }\n`,
)
const children = []

/** Starts a process and resolves to its first line that has this. */
async function start(args, env = {}, has = '') {
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  children.push(child)
  const lines = createInterface(child.stdout)
  for (;;) {
    const [line] = await once(lines, 'line')
    if (line.includes(has)) return { child, line }
  }
}

try {
  const ports = ['evaluation', 'management', 'sync', 'ofrep'].flatMap((name) => [
    `--${name}-port`,
    '0',
  ])
  const flagds = []
  for (let i = 0; i < FLAGDS; i++) {
    const args = ['dist/cli/bin.js', 'sidecar', '--json', '--file', file, ...ports]
    flagds.push(JSON.parse((await start(args, {}, '"ready":true')).line).ports.sync)
  }
  const apps = []
  for (let i = 0; i < APPS; i++) {
    const { child, line } = await start(['test/support/fleet-app.mjs'], {
      FLAGD_HOST: '127.0.0.1',
      FLAGD_PORT: String(flagds[i % FLAGDS]),
      FLAGD_RESOLVER: 'in-process',
      FLAGD_DEADLINE_MS: '30000',
    })
    apps.push({ child, url: `http://127.0.0.1:${line}/metrics` })
  }
  const common = {
    file,
    flag: 'use-redis',
    flagd: false,
    by: { who: 'bench', via: 'bench' },
    processes: { metrics: apps.map(({ url }) => url) },
  }
  const times = []
  for (let round = 0; round < rounds + 5; round++) {
    await changeShare({ ...common, percent: 50, timeoutMs: 20_000 })
    const { processes } = await changeBack({ ...common, timeoutMs: 20_000 })
    if (processes?.lastMs === undefined) throw new Error(JSON.stringify(processes))
    if (round >= 5) times.push(processes.lastMs)
  }
  times.sort((a, b) => a - b)
  const at = (share) => times[Math.min(times.length - 1, Math.ceil(share * times.length) - 1)]
  const ms = (value) => `${value.toFixed(0)} ms`
  console.log(`${rounds} rollbacks, ${APPS} of ${APPS} processes, ${FLAGDS} flagds`)
  console.log(`  median ${ms(at(0.5))}, p90 ${ms(at(0.9))}, p99 ${ms(at(0.99))}, most ${ms(at(1))}`)

  await changeShare({ ...common, percent: 50 })
  for (const { child } of apps.slice(0, 2)) child.kill('SIGSTOP')
  const begun = performance.now()
  const { processes } = await changeBack(common)
  const took = performance.now() - begun
  const named = processes.lagging.map(({ process: name, cause }) => `${name} ${cause}`)
  console.log(
    `two frozen: ${processes.deciding} of ${processes.known} after ${ms(took)}: ${named.join('; ')}`,
  )
} finally {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
}
