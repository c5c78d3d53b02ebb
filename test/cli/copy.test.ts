// @needs redis
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { redisCache } from '../../src/cache/index.ts'
import { type CopyStore, reach } from '../../src/cli/copying/stores.ts'
import { SwitchbackError } from '../../src/errors.ts'
import { licensed, makePairActor, type PairActor } from '../support/pair.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { runCommand } from '../support/run-command.ts'
import { until } from '../support/until.ts'

const BIN = fileURLToPath(new URL('../../dist/cli/bin.js', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'switchback-copy-'))
const KEYS = 3000
let [a, b] = [] as unknown as [TestRedis, TestRedis]
let actor: PairActor

beforeAll(async () => {
  ;[a, b] = await Promise.all([startRedis(), startRedis()])
  actor = makePairActor(redisCache({ url: a.url }), redisCache({ url: b.url }), {
    deadlineMs: 2000,
  })
  await licensed([actor])
  const keys = Array.from({ length: KEYS }, (_, i) => `k${i}`)
  await actor.offUser.setMany(keys.map((key) => [key, key] as const))
})
afterAll(async () => {
  await actor.cache.close()
  await Promise.all([a.stop(), b.stop()])
  rmSync(directory, { recursive: true, force: true })
})

interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<{
    readonly code: number | null
    readonly out: string
    readonly err: string
  }>
}

function copy(args: readonly string[], redis: readonly string[] = sides()): Running {
  const env = { ...process.env, REDIS_URL: '', NO_COLOR: '1' }
  delete (env as Record<string, unknown>)['REDIS_URL']
  const child = spawn(process.execPath, [BIN, 'copy', ...redis, ...args], {
    cwd: directory,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  child.stdout!.on('data', (part: Buffer) => (out += String(part)))
  child.stderr!.on('data', (part: Buffer) => (err += String(part)))
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, out, err }))
  return { child, ended }
}

const sides = (): string[] => ['--old-redis', a.url, '--redis', b.url]
const WAY = ['--from', 'off', '--to', 'on']

async function onSide(): Promise<number> {
  const cells = await Promise.all(Array.from({ length: KEYS }, (_, i) => actor.on.read(`k${i}`)))
  return cells.filter(({ state }) => state === 'value').length
}

describe('switchback copy', () => {
  test('goes on where it was killed or interrupted', async () => {
    const resume = join(directory, 'copy.json')
    const slow = [...WAY, '--rate', '1000/s', '--resume', resume, '--json']
    const cursorOf = (): string =>
      existsSync(resume)
        ? (JSON.parse(readFileSync(resume, 'utf8')) as { cursor: string }).cursor
        : ''
    const killed = copy(slow)
    await until('it has saved where it stands', () => cursorOf() !== '')
    killed.child.kill('SIGKILL')
    await killed.ended
    const first = await onSide()
    expect(first).toBeGreaterThan(0)
    expect(first).toBeLessThan(KEYS)

    const cursor = cursorOf()
    const interrupted = copy(slow)
    await until(
      'it has gone on',
      () => interrupted.child.exitCode !== null || cursorOf() !== cursor,
    )
    interrupted.child.kill('SIGINT')
    const { code, out } = await interrupted.ended
    expect(code).toBe(130)
    const report = JSON.parse(out) as Record<string, number>
    expect(report).toMatchObject({ ok: false, ended: 'aborted', failed: 0, refused: 0 })

    const rest = await copy([...WAY, '--resume', resume, '--json']).ended
    expect(rest.code).toBe(0)
    const last = JSON.parse(rest.out) as Record<string, number>
    expect(last).toMatchObject({ ok: true, ended: 'done', refused: 0, failed: 0, expired: 0 })
    // It did not begin anew.
    expect(last['scanned']).toBeLessThan(KEYS - report['scanned']! / 2)
    expect(await onSide()).toBe(KEYS)
    expect(existsSync(resume)).toBe(false)

    const again = await copy(WAY).ended
    expect(again).toMatchObject({ code: 0, err: '' })
    expect(again.out).toMatch(/copied +0 of 3,000 keys/)
    expect(again.out).toMatch(/present +3,000: there already/)
  })

  test.each<[readonly string[], RegExp]>([
    [[], /a side is not named/],
    [['--from', 'off', '--to', 'off'], /cannot copy from "off" to "off"/],
    [[...WAY, '--rate', 'fast'], /"fast" is not a rate/],
    [[...WAY, '--rate', '0'], /"0" is not a rate/],
    [[...WAY, '--match='], /--match is empty/],
    [[...WAY, '--old-values', 'raw'], /--old-values cannot be "raw"/],
    [[...WAY, '--cache-dir', '.'], /cannot be both --old-redis and --cache-dir/],
    [[...WAY, '--resume', 'other.json'], /"other\.json" is not a file of a copy/],
    [[...WAY, '--resume', 'nowhere/x.json'], /cannot write "nowhere\/x\.json"/],
    [[...WAY, 'more'], /copy does not take "more"/],
  ])('one line says what is wrong with %j', async (args, message) => {
    writeFileSync(join(directory, 'other.json'), '{}')
    const argv = ['copy', ...sides(), ...args]
    const { code, stdout, stderr } = await runCommand(argv, { cwd: directory })
    expect(stderr).toMatch(message)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })

  test('files that are not there are not begun, nor is a Redis asked of which none is named', async () => {
    const wrong = await copy([...WAY, '--cache-dir', 'nowhere'], ['--redis', b.url]).ended
    expect(wrong.code).toBe(2)
    expect(wrong.err).toMatch(/there is no file cache of this switch in "nowhere"/)
    expect(existsSync(join(directory, 'nowhere'))).toBe(false)
    const unnamed = await copy(WAY, []).ended
    expect(unnamed.err).toMatch(/the Redis of the new side is not named/)
    const dead = await copy(WAY, ['--redis', 'redis://127.0.0.1:1', '--old-redis', a.url]).ended
    expect(dead.code).toBe(1)
    expect(dead.err).toMatch(/redis:\/\/127\.0\.0\.1:1 does not answer/)
  })

  test('plain values are copied with the option, whose lack is a failure that changes nothing', async () => {
    const [from, to] = [`${a.url}/1`, `${b.url}/1`]
    const old = new Redis(from)
    for (const key of ['user:1', 'user:2', '#not a key of the switch'])
      await old.set(key, '{"v":1}')
    const pair = makePairActor(
      redisCache({ url: from, values: 'plain' }),
      redisCache({ url: to, prefix: 'new:' }),
      { deadlineMs: 2000 },
    )
    try {
      await licensed([pair])
      const argv = ['copy', ...WAY, '--old-redis', from, '--redis', to, '--prefix', 'new:']
      const before = await old.keys('*')
      const without = await runCommand(argv)
      expect(without).toMatchObject({ code: 2, stdout: '' })
      expect(without.stderr).toMatch(
        /nothing of this switch under the prefix "new:", but other keys/,
      )
      expect(without.stderr).toMatch(/add --old-values plain/)
      expect((await old.keys('*')).toSorted()).toEqual(before.toSorted())

      // A state that is there although nothing else is, as an earlier version left one.
      await old.hset('new:#state', 'last', '1')
      const left = await runCommand(argv)
      expect(left.code).toBe(2)
      expect(left.stderr).toMatch(/add --old-values plain/)

      const { code, stdout, stderr } = await runCommand([
        ...argv,
        '--old-values',
        'plain',
        '--old-prefix=',
        '--json',
      ])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      const [report] = stdout.trim().split('\n')
      expect(JSON.parse(report!)).toMatchObject({ ok: true, copied: 2 })
      expect(await pair.on.read('user:2')).toMatchObject({ state: 'value', payload: '{"v":1}' })
    } finally {
      await pair.cache.close()
      old.disconnect()
    }
  })

  test('it waits at the start for a store that is not there yet, and names the one that stays away', async () => {
    const backend = redisCache({ url: a.url })
    const store = { backend, shown: 'redis://here', close: () => undefined } as CopyStore
    const away = new SwitchbackError('SB_REDIS_UNREACHABLE', 'not connected')
    const { signal } = new AbortController()
    const ping = vi.spyOn(backend, 'ping').mockRejectedValueOnce(away).mockRejectedValueOnce(away)
    await reach(store, 'off', signal)
    expect(ping).toHaveBeenCalledTimes(3)
    const refusal = new SwitchbackError('SB_REDIS_REFUSED', 'NOAUTH', { hint: 'Check it.' })
    ping.mockRejectedValueOnce(refusal)
    await expect(reach(store, 'off', signal)).rejects.toMatchObject({
      code: 'SB_REDIS_REFUSED',
      message: 'old side, redis://here: NOAUTH',
      hint: 'Check it.',
    })
    await backend.close()
  })
})
