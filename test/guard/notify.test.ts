import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, expect, test, vi } from 'vitest'
import { main } from '../../src/cli/index.ts'
import { type GuardMessage, notifierOf, Notifier, parsePlan } from '../../src/guard/index.ts'
import type { Receivers } from '../../src/guard/notify/notifier.ts'
import { useRedis } from '../support/flags-files.ts'
import { World } from './world.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

interface Heard {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
  readonly message: GuardMessage
}

interface Webhook {
  readonly url: URL
  readonly heard: Heard[]
  readonly close: () => Promise<void>
}

/** A webhook that answers with the next of these codes, the last one for ever; 0: never. */
async function webhook(...codes: readonly number[]): Promise<Webhook> {
  const heard: Heard[] = []
  const left = [...codes]
  const server = createServer((request, response) => {
    void (async () => {
      let body = ''
      for await (const piece of request) body += String(piece)
      heard.push({ headers: request.headers, body, message: JSON.parse(body) as GuardMessage })
      const code = left.length > 1 ? left.shift()! : (left[0] ?? 204)
      if (code > 0) response.writeHead(code).end()
    })()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => {
      server.close(resolve)
    })
  }
  closing.push(close)
  const { port } = server.address() as AddressInfo
  return { url: new URL(`http://127.0.0.1:${port}/hooks/of-the-team`), heard, close }
}

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'switchback-notify-'))
  closing.push(() => rm(path, { recursive: true, force: true }))
  return path
}

function receivers(plan: Partial<Receivers>): Receivers {
  return { onRollback: [], onAdvance: [], onAlarm: [], onYield: [], ...plan }
}

function world(seed: number, replicas?: number): World {
  const made = new World(seed, replicas)
  closing.push(() => made.close())
  return made
}

const PLAN = '{ steps: [10, 50], baselineTime: 0s, hold: 5s, settle: 0s }'

test('a rollback is told, signed, and again with the same id until it is accepted', async () => {
  const { url, heard } = await webhook(500, 429, 204)
  const secret = `whsec_${Buffer.from('a key of the team').toString('base64')}`
  const notifier = new Notifier({
    receivers: receivers({ onRollback: [{ kind: 'webhook', url }] }),
    guard: 'first',
    secret,
    pausesMs: [0, 0, 0],
  })
  const here = world(1)
  const guard = here.guard(PLAN, { notifier })
  await here.until(guard, ({ percent }) => percent === 10)
  here.on.failed = 0.3
  await here.until(guard, ({ phase }) => phase === 'rolled back')
  await guard.close()
  expect(heard).toHaveLength(3)
  expect(new Set(heard.map(({ message }) => message.id)).size).toBe(1)
  const { headers, body, message } = heard[2]!
  expect(message).toMatchObject({ event: 'rollback', severity: 'page', from: 10, to: 0 })
  expect(message).toMatchObject({ flag: 'use-redis', guard: 'first', confirmed: true, version: 1 })
  expect(message.text).toMatch(/^use-redis: rolled back, 10 % -> 0 %: /)
  // As a receiver checks it, with the key and nothing else of this project.
  const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`
  const hash = createHmac('sha256', 'a key of the team').update(signed).digest('base64')
  expect(headers['webhook-signature']).toBe(`v1,${hash}`)
  expect(notifier.counts).toEqual({ sent: 1, failed: 0 })
})

test('a receiver that hangs or is gone keeps nobody waiting: an alarm that holds nothing', async () => {
  const hangs = await webhook(0)
  const { url: gone, close } = await webhook()
  await close()
  const notifier = new Notifier({
    receivers: receivers({
      onAdvance: [
        { kind: 'webhook', url: hangs.url },
        { kind: 'webhook', url: new URL(`${gone.origin}/token-of-the-team`) },
      ],
    }),
    guard: 'first',
    timeoutMs: 300,
    pausesMs: [0],
  })
  const here = world(2)
  const guard = here.guard(PLAN, { notifier })
  await here.until(guard, ({ phase }) => phase === 'finished')
  const both = new RegExp(`${hangs.url.host}.*given up; ${gone.host}`)
  await vi.waitFor(() => expect(notifier.trouble).toMatch(both), { timeout: 10_000 })
  const status = await here.run(guard, 1)
  const alarm = status.alarms.find(({ code }) => code === 'notify')
  expect(alarm?.message).toContain(`${hangs.url.host} no answer within 300 ms`)
  expect(alarm?.message).toContain(`${gone.host} cannot be reached (ECONNREFUSED)`)
  // The path of a webhook is its password.
  expect(JSON.stringify([status, here.audit])).not.toMatch(/token-of-the-team|of-the-team/)
  expect(here.actions()).toEqual([
    'start 0->0',
    'advance 0->10',
    'advance 10->50',
    'finish 50->50',
    'alarm 50->50',
  ])
})

test('alarms are told as they begin and end, and an edit by hand', async () => {
  const { url, heard } = await webhook()
  const all = [{ kind: 'webhook', url }] as const
  const notifier = new Notifier({
    receivers: receivers({ onAlarm: all, onYield: all }),
    guard: 'first',
  })
  const here = world(3, 3)
  const guard = here.guard(PLAN, { notifier })
  await here.until(guard, ({ percent }) => percent === 10)
  here.down.add(0)
  await here.until(guard, ({ alarms }) => alarms.length > 0)
  here.down.clear()
  await here.until(guard, ({ alarms }) => alarms.length === 0)
  here.percent = 30
  await here.until(guard, ({ phase }) => phase === 'yielded')
  await guard.close()
  const told = heard.map(({ message: { event, alarm, severity } }) => [event, alarm, severity])
  expect(told).toEqual([
    ['alarm', 'replica-silent', 'warning'],
    ['alarm-end', 'replica-silent', 'info'],
    ['yield', undefined, 'warning'],
  ])
  expect(Date.parse(heard[1]!.message.since ?? '')).toBeLessThan(Date.parse(heard[1]!.message.at))
})

test('metrics that stay lost page a person, by a command, once; and the guard says when nobody is there', async () => {
  const at = join(await directory(), 'paged')
  const script =
    'process.stdin.pipe(require("fs").createWriteStream(process.argv[1], {flags: "a"}))'
  const command = [process.execPath, '-e', script, at]
  const plan = '{ steps: [10, 50], baselineTime: 0s, hold: 1h, lost: { giveUpAfter: 2m } }'
  const withCommand = `${plan.slice(0, -1)}, notify: { onAlarm: [${JSON.stringify(command)}] } }`
  for (const text of [withCommand, plan]) {
    const here = world(4)
    const notifier = notifierOf(parsePlan(text), 'first')
    const guard = here.guard(text, notifier === undefined ? {} : { notifier })
    await here.until(guard, ({ percent }) => percent === 10)
    here.down.add(0).add(1)
    await here.run(guard, 200)
    await guard.close()
    const pages = here.audit.filter(({ action }) => action === 'page')
    expect(pages).toHaveLength(1)
    expect(pages[0]!.reason.includes('no person is notified')).toBe(notifier === undefined)
  }
  const told = (await readFile(at, 'utf8')).replaceAll('}{', '}\n{').split('\n')
  const messages = told.map((line) => JSON.parse(line) as GuardMessage)
  expect(messages.map(({ event, severity }) => [event, severity])).toEqual([
    ['alarm', 'warning'],
    ['page', 'page'],
  ])
})

test('a guard that only reports tells nobody', async () => {
  const { url, heard } = await webhook()
  const all = [{ kind: 'webhook', url }] as const
  const notifier = new Notifier({ receivers: receivers({ onAdvance: all }), guard: 'first' })
  const here = world(5)
  const guard = here.guard(PLAN, { notifier, dryRun: true })
  while (here.find('advance') === undefined) await here.run(guard, 1)
  await guard.close()
  expect(heard).toEqual([])
})

test('what the plan may name, and what it may not', () => {
  const plan = parsePlan(
    '{ notify: { onAlarm: [$PAGER, [./page, --now]], onRollback: "https://h.example/x" } }',
  )
  expect(plan.notify.onAlarm).toEqual(['$PAGER', ['./page', '--now']])
  expect(() => notifierOf(plan, 'first', {})).toThrow(/"\$PAGER" is not set/)
  expect(() => notifierOf(plan, 'first', { PAGER: 'secret-7' })).toThrow(/not an http URL/)
  expect(() => notifierOf(plan, 'first', { PAGER: 'secret-7' })).not.toThrow(/secret-7/)
  expect(notifierOf(plan, 'first', { PAGER: 'https://h.example/y' })).toBeInstanceOf(Notifier)
  expect(notifierOf(parsePlan('{}'), 'first')).toBeUndefined()
  for (const bad of ['{ onAlarm: page-me }', '{ onAlarm: [[]] }', '{ onPanic: [] }']) {
    expect(() => parsePlan(`{ notify: ${bad} }`)).toThrow(/notify/)
  }
})

test('--test-notify asks every receiver once, and exits 3 when one does not accept', async () => {
  const place = await directory()
  const file = join(place, 'use-redis.json')
  await writeFile(file, JSON.stringify(useRedis(0)))
  const good = await webhook()
  const bad = await webhook(404)
  const run = async (...urls: readonly string[]): Promise<{ code: number; stdout: string }> => {
    let stdout = ''
    const code = await main({
      argv: ['guard', '--file', file, '--test-notify', ...urls.flatMap((url) => ['--notify', url])],
      env: { HOOK: good.url.href },
      stdin: Readable.from([]),
      stdout: { write: (text: string) => void (stdout += text) },
      stderr: { write: () => {} },
      signal: AbortSignal.timeout(20_000),
    })
    return { code, stdout }
  }
  expect(await run('$HOOK')).toEqual({ code: 0, stdout: `${good.url.host}: accepted\n` })
  expect(good.heard[0]!.message).toMatchObject({ event: 'test', severity: 'info' })
  expect(await run('$HOOK', bad.url.href)).toEqual({
    code: 3,
    stdout: `${good.url.host}: accepted\n${bad.url.host}: answers with HTTP 404\n`,
  })
  expect((await run()).code).toBe(2)
})
