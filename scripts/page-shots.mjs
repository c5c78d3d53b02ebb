#!/usr/bin/env node
/**
 * Pictures of the control page in the five worst minutes of a rollout, made with real parts: two app processes,
 * a Redis, a sidecar, the page, and where one is shown a guard, each a process of its own. They go into
 * docs/screenshots; docs/operate.md shows them. Usage: npm run build && node scripts/page-shots.mjs
 * [--only redis-dead,replica-lost] [--out DIR]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { chromium as driver } from 'playwright-core'
import { chromium, obtainProgram, redisServer } from '../build/cli/provision/index.js'

const root = resolve(import.meta.dirname, '..')
const { values } = parseArgs({
  options: { only: { type: 'string' }, out: { type: 'string', default: 'docs/screenshots' } },
})
const out = resolve(root, values.out)
const DESK = { width: 1280, height: 900 }
const PHONE = { width: 390, height: 844 }
/** For anything that is waited for: a busy machine is slow, not wrong. In milliseconds. */
const PATIENCE_MS = 600_000

/** Each minute: what happens, what the page must then say, and how wide it is seen. */
const MINUTES = {
  'flagd-dead': {
    async happen({ page, end, flagd }) {
      await end(flagd)
      await page.click('#rollback')
    },
    says: { '#back-result': /NOT back yet/, '#headline': /NOT back yet/ },
  },
  'redis-dead': {
    happen: ({ end, redis }) => end(redis),
    says: { '#headline': /is out since .*no request failed/ },
    after: 8,
  },
  'guard-elsewhere': {
    async happen({ start, plan, flagsOf, sources }) {
      await start(['guard', ...flagsOf, '--plan', plan, ...sources], {}, /guard of/)
    },
    says: { '#guard': /acts: .*more operations/s },
    after: 20,
  },
  'replica-lost': {
    happen: ({ end, apps }) => end(apps[1]),
    says: { '#headline': /No metrics of/ },
    after: 6,
  },
  'edited-by-hand': {
    async happen({ file }) {
      const text = await readFile(file, 'utf8')
      await writeFile(file, text.replace('[["on", 25], ["off", 75]]', '[["off", 70], ["on", 30]]'))
    },
    says: { '#headline': /edited by hand/ },
  },
}

const wanted = values.only === undefined ? Object.keys(MINUTES) : values.only.split(',')
const browser = await driver.launch({
  executablePath: await program(chromium),
  args: ['--no-sandbox', '--disable-gpu', '--hide-scrollbars'],
})
const redisBin = await program(redisServer)
await mkdir(out, { recursive: true })
for (const name of wanted) {
  const minute = MINUTES[name]
  if (minute === undefined) throw new Error(`no such minute: ${name}`)
  console.log(name)
  await take(name, minute)
}
await browser.close()

async function take(name, { happen, says, after = 2 }) {
  const world = await open()
  try {
    const { page } = world
    await shows(page, '#headline', /^Healthy: both sides answer/)
    // Enough that the charts have a before.
    await sleep(30_000)
    await happen(world)
    for (const [selector, pattern] of Object.entries(says)) await shows(page, selector, pattern)
    await sleep(after * 1000)
    // It may have changed in between.
    for (const [selector, pattern] of Object.entries(says)) await shows(page, selector, pattern)
    await picture(page, `minute-${name}.webp`)
    await page.setViewportSize(PHONE)
    await sleep(1500)
    await picture(page, `minute-${name}-phone.webp`)
  } finally {
    await world.close()
  }
}

/** A WebP, encoded by the browser itself: a third of the size of a PNG. */
async function picture(page, name) {
  const png = (await page.screenshot()).toString('base64')
  const encoder = await browser.newPage()
  const url = await encoder.evaluate(async (data) => {
    const image = new Image()
    image.src = `data:image/png;base64,${data}`
    await image.decode()
    const canvas = document.createElement('canvas')
    canvas.width = image.width
    canvas.height = image.height
    canvas.getContext('2d').drawImage(image, 0, 0)
    return canvas.toDataURL('image/webp', 0.9)
  }, png)
  await encoder.close()
  await writeFile(join(out, name), Buffer.from(url.split(',')[1], 'base64'))
}

/** A rollout at 25 %, with traffic. */
async function open() {
  const directory = await mkdtemp(join(tmpdir(), 'switchback-shots-'))
  const file = join(directory, 'use-redis.json')
  const text = await readFile(join(root, 'flags', 'use-redis.json'), 'utf8')
  await writeFile(file, text.replace(/\["on", \d+\], \["off", \d+\]/, '["on", 25], ["off", 75]'))
  const plan = join(directory, 'plan.yaml')
  // On a busy machine a third of the operations take longer than the usual 25 ms.
  const late = 'metrics: { degraded: { late: 2s } }'
  await writeFile(plan, `steps: [25, 50, 100]\nbaselineTime: 5s\nhold: 30s\n${late}\n`)
  const running = new Set()
  const traffic = new AbortController()

  const spawned = (command, args, env = {}) => {
    const child = spawn(command, args, {
      cwd: directory,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    running.add(child)
    return child
  }
  const end = async (child) => {
    running.delete(child)
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  /** Starts a command of switchback; resolves with the first line that matches. */
  const start = async (args, env = {}, ...patterns) => {
    const child = spawned(process.execPath, [join(root, 'dist/cli/bin.js'), ...args], env)
    const found = []
    for await (const line of createInterface(child.stdout)) {
      const match = patterns[found.length]?.exec(line)
      if (match) found.push(match)
      if (found.length < patterns.length) continue
      child.stdout.resume()
      return { child, found }
    }
    throw new Error(`${args.join(' ')} ended before it was ready`)
  }

  const redisPort = await freePort()
  const redis = spawned(redisBin, ['--port', `${redisPort}`, '--save', '', '--bind', '127.0.0.1'])
  const any = ['evaluation', 'management', 'sync', 'ofrep'].flatMap((port) => [
    `--${port}-port`,
    '0',
  ])
  const sidecar = await start(['sidecar', '--json', '--file', file, ...any], {}, /"ready":true/)
  const { ports } = JSON.parse(sidecar.found[0].input)
  const env = {
    FLAGD_HOST: '127.0.0.1',
    FLAGD_PORT: `${ports.sync}`,
    FLAGD_RESOLVER: 'in-process',
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    NO_COLOR: '1',
  }
  const apps = []
  const metrics = []
  const services = []
  for (let i = 0; i < 2; i++) {
    const ports = ['--port', '0', '--metrics-port', '0', '--origin-latency', '5']
    const args = ['start', ...ports, '--cache-dir', `cache-${i}`]
    const app = await start(args, env, /service (http\S+)/, /metrics (http\S+)/)
    apps.push(app.child)
    services.push(app.found[0][1])
    metrics.push(app.found[1][1])
  }
  for (const service of services) void visit(service, traffic.signal)
  const flagsOf = [
    '--file',
    file,
    '--flag',
    'use-redis',
    '--flagd',
    `http://127.0.0.1:${ports.ofrep}`,
  ]
  const sources = metrics.flatMap((url) => ['--metrics', url])
  const args = ['control', '--json', '--port', '0', ...flagsOf, ...sources]
  const control = await start(args, env, /"ready":true/)
  const context = await browser.newContext({ viewport: DESK })
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  await page.goto(JSON.parse(control.found[0].input).url)
  return {
    page,
    end,
    start,
    redis,
    apps,
    sources,
    file,
    plan,
    flagsOf,
    flagd: sidecar.child,
    async close() {
      traffic.abort()
      await context.close()
      for (const child of running) await end(child)
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Traffic of some users, mostly reads. */
async function visit(service, signal) {
  while (!signal.aborted) {
    const user = `${service}/users/user_${Math.floor(Math.random() ** 2 * 400)}`
    const data = JSON.stringify({ data: new Date().toISOString() })
    const put = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: data }
    await fetch(user, Math.random() < 0.03 ? put : {})
      .then((response) => response.arrayBuffer())
      // The service is gone: that is one of the minutes.
      .catch(() => sleep(200))
    await sleep(30)
  }
}

async function shows(page, selector, pattern) {
  const { source, flags } = pattern
  const has = ([at, text, how]) =>
    new RegExp(text, how).test(document.querySelector(at)?.innerText ?? '')
  await page.waitForFunction(has, [selector, source, flags]).catch(async (error) => {
    const shown = await page.locator(selector).innerText()
    throw new Error(`${selector} never shows ${pattern}: ${shown}`, { cause: error })
  })
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

async function program(wanted) {
  const found = await obtainProgram(wanted, { env: process.env, say: (line) => console.log(line) })
  if (found.path === undefined) throw new Error(found.reason)
  return found.path
}
