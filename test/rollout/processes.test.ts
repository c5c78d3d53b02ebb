import { once } from 'node:events'
import { readFile, stat, utimes } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  changeBack,
  changeShare,
  changeUndo,
  type ChangeOptions,
  confirmProcesses,
  expectationOf,
  loadFlags,
  readHistory,
  setShare,
} from '../../src/rollout/index.ts'
import { fakeProcess, type FakeProcess, type FakeSays, metricsOf } from '../support/fake-process.ts'
import { startFlagd } from '../support/flagd.ts'
import { flagsFile, usual } from './support.ts'

const flag = 'use-redis'
const by = { who: 'test', via: 'test' }

/** A process that decides what the file says the moment that it is asked, unless it is told otherwise. */
async function following(file: string, says: Partial<FakeSays> = {}): Promise<FakeProcess> {
  const process = await started({ on: 10, ...says })
  process.onAsk = () => {
    process.says = { ...process.says, on: onIn(file) }
  }
  return process
}

async function started(says: FakeSays, where = {}): Promise<FakeProcess> {
  const process = await fakeProcess(says, where)
  onTestFinished(() => process[Symbol.asyncDispose]())
  return process
}

const shares = new Map<string, number>()
function onIn(file: string): number {
  void loadFlags(file).then((document) => shares.set(file, expectationOf(document, flag).on('')))
  return shares.get(file) ?? 10
}

function options(
  file: string,
  processes: readonly FakeProcess[],
  more: Partial<ChangeOptions> = {},
): ChangeOptions {
  const metrics = processes.map(({ url }) => url)
  return { file, flag, by, flagd: false, processes: { metrics }, timeoutMs: 60_000, ...more }
}

describe('every process confirms', () => {
  it('waits for each, beside flagd, and tells when the last one had it', async () => {
    const file = await flagsFile()
    const flagd = await startFlagd(file)
    const three = [await following(file), await following(file), await following(file)]
    const result = await changeShare({ ...options(file, three), percent: 25, flagd: flagd.url })
    expect(result).toMatchObject({
      confirmed: true,
      confirmation: { confirmed: true },
      processes: { confirmed: true, known: 3, deciding: 3, lagging: [], samples: 0 },
    })
    expect(result.processes?.lastMs).toBeGreaterThan(0)
  })

  it('names those whose new side is down, although they decide what was written', async () => {
    const file = await flagsFile()
    const [well, ill] = [await following(file, { newSideUp: 1 }), await following(file)]
    ill.says = { ...ill.says, newSideUp: 0 }
    const result = await changeShare({ ...options(file, [well, ill]), percent: 25 })
    expect(result.processes).toMatchObject({
      confirmed: true,
      newSideDown: [{ process: new URL(ill.url).host, newSide: 'redis' }],
    })
  })

  it.each<[what: string, says: Partial<FakeSays>, cause: RegExp]>([
    [
      'is still on the old split',
      { on: 10 },
      /^still on the old split at 10 %, unchanged since 20/,
    ],
    ['decides something else', { on: 33 }, /^decides 33 % instead of 25 %/],
    [
      'refuses the flags',
      { on: 10, refused: 'flag \\"x\\" has no default' },
      /^still on the old split at 10 %: it refuses the flags since 2023-.*Z: flag "x" has no default$/,
    ],
    [
      'refuses the flags, although its share is right',
      { on: 25, refused: 'too large' },
      /refuses the flags .*too large/,
    ],
    ['has lost flagd', { on: 10, up: 0 }, /^still on the old split at 10 %: its flags are unreach/],
    ['knows another flag', { on: 10, flag: 'other' }, /^does not decide "use-redis".*other/],
    [
      'has other flags',
      { on: 25, hash: 'f00d' },
      /^decides 25 % .*with another definition of the flag/,
    ],
  ])('names who %s, with the cause', async (_, says, cause) => {
    const file = await flagsFile()
    const good = await following(file)
    const bad = await started({ on: 10, ...says })
    const result = await changeShare({
      ...options(file, [good, bad], { timeoutMs: 500 }),
      percent: 25,
    })
    expect(result.confirmed).toBe(false)
    expect(result.processes).toMatchObject({ confirmed: false, known: 2, deciding: 1 })
    const [lagging] = result.processes?.lagging ?? []
    expect(lagging).toMatchObject({ process: new URL(bad.url).host })
    expect(lagging?.cause).toMatch(cause)
  })

  it('names a process that hangs, and one that is not there, long before the time is up', async () => {
    const file = await flagsFile()
    const good = await following(file)
    const frozen = await started({ on: 10, frozen: true })
    const gone = await started({ on: 10 })
    await gone[Symbol.asyncDispose]()
    const result = await changeShare({
      ...options(file, [good, frozen, gone], { timeoutMs: 3_600_000 }),
      percent: 25,
    })
    expect(result.processes).toMatchObject({ confirmed: false, known: 3, deciding: 1 })
    const causes = result.processes?.lagging.map(({ cause }) => cause)
    expect(causes).toEqual(['does not answer within 1.5 s', 'refuses the connection'])
  })

  it('says of a process that hangs for how long, also when it was itself kept from its work', async () => {
    const file = await flagsFile()
    const good = await following(file)
    const frozen = await started({ on: 10, frozen: true })
    frozen.onAsk = () => {
      frozen.onAsk = undefined
      // As on a machine that is busy: all that was due meanwhile is due at once.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1800)
    }
    const { processes } = await changeShare({
      ...options(file, [good, frozen], { timeoutMs: 3_600_000 }),
      percent: 25,
    })
    const causes = new Set(processes?.lagging.map(({ cause }) => cause))
    expect([...causes]).toEqual(['does not answer within 1.5 s'])
  })

  it('gives up processes soon after flagd is known not to serve it', async () => {
    const file = await flagsFile()
    const bad = await started({ on: 10 })
    const lost = { flagd: 'http://127.0.0.1:1', timeoutMs: 3_600_000 }
    const result = await changeBack(options(file, [bad], lost))
    expect(result.confirmation?.cause).toContain('does not answer')
    expect(result.processes?.lagging[0]?.cause).toContain('still on the old split at 10 %')
  })

  it('counts a process with two names once, and the addresses of a name each', async () => {
    const file = await flagsFile(usual.replace('10', '0').replace('90', '100'))
    const one = await started({ on: 0, instance: 'a' })
    const two = await started({ on: 0, instance: 'b' }, { port: one.port, host: '127.0.0.2' })
    const expected = expectationOf(await loadFlags(file), flag)
    const asked: string[] = []
    const resolve = (name: string): Promise<readonly string[]> => {
      asked.push(name)
      return Promise.resolve(['127.0.0.1', '127.0.0.2'])
    }
    const metrics = [one.url, `http://app.headless:${one.port}/metrics`]
    const so = await confirmProcesses({ flag, expected, processes: { metrics, resolve } })
    expect(so).toMatchObject({ confirmed: true, known: 2, deciding: 2 })
    expect(asked).toEqual(['app.headless'])
    expect(two.asked).toBe(1)
  })

  it('does not wait for a process that has left its name', async () => {
    const file = await flagsFile()
    const stays = await started({ on: 10 })
    const leaves = await started({ on: 0 }, { port: stays.port, host: '127.0.0.3' })
    await leaves[Symbol.asyncDispose]()
    const expected = expectationOf(await loadFlags(file), flag)
    let calls = 0
    const resolve = (): Promise<readonly string[]> =>
      Promise.resolve(calls++ === 0 ? ['127.0.0.1', '127.0.0.3'] : ['127.0.0.1'])
    const metrics = [`http://app.headless:${stays.port}/metrics`]
    const so = await confirmProcesses({
      flag,
      expected,
      processes: { metrics, resolve },
      timeoutMs: 3_600_000,
    })
    expect(so).toMatchObject({ confirmed: true, known: 1 })
  })

  it('asks each cache of a process by its own attribute', async () => {
    const pilot = usual.replace(
      /"targeting": (.*)/,
      '"targeting": { "if": [{ "in": [{ "var": "feature" }, ["avatars"]] }, "on", { "fractional": [["on", 10], ["off", 90]] }] }',
    )
    const file = await flagsFile(pilot)
    const expected = expectationOf(await loadFlags(file), flag)
    expect([expected.on(''), expected.on('avatars')]).toEqual([10, 100])
    const process = await started({ on: 100, feature: 'avatars' })
    const processes = { metrics: [process.url] }
    expect(await confirmProcesses({ flag, expected, processes })).toMatchObject({ confirmed: true })
    process.says = { on: 10, feature: 'avatars' }
    const so = await confirmProcesses({ flag, expected, processes, once: true })
    expect(so.lagging[0]?.cause).toBe(
      'decides 10 % instead of 100 % (cache "avatars"), unchanged since 2023-11-14T22:13:20Z',
    )
  })

  it.each<[on: number, percent: number, confirmed: boolean]>([
    [0, 0, true],
    [1, 0, false],
    [50, 100, true],
    [49, 100, false],
    [15, 25, true],
    [40, 25, false],
  ])('compares a sample by its direction: %d of 50 at %d %%', async (on, percent, confirmed) => {
    const { after } = setShare(await loadFlags(await flagsFile()), { flag, percent })
    const process = await started({ on, probes: 50, kind: 'sample', mode: 'provider' })
    const expected = expectationOf(after, flag)
    const processes = { metrics: [process.url] }
    const so = await confirmProcesses({ flag, expected, processes, once: true })
    expect(so).toMatchObject({ confirmed, samples: confirmed ? 1 : 0 })
  })

  it('believes a Prometheus only what it has scraped since the change', async () => {
    const file = await flagsFile()
    let scrapedAt = Date.now() - 10_000
    let queries = 0
    const server = createServer((request, response) => {
      const query = new URL(request.url ?? '', 'http://x').searchParams.get('query') ?? ''
      if (++queries > 6) scrapedAt = Date.now() + 10
      const vector = query.startsWith('timestamp(')
        ? ['a:1', 'b:1'].map((instance) => ({
            metric: { instance },
            value: [0, String(scrapedAt / 1000)],
          }))
        : ['a:1', 'b:1'].flatMap((instance) => vectorOf(metricsOf({ on: 0 }), instance))
      response.end(
        JSON.stringify({ status: 'success', data: { resultType: 'vector', result: vector } }),
      )
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void server.close())
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const change = { file, flag, by, flagd: false, processes: { prometheus: { url } } } as const
    const result = await changeBack(change)
    expect(result.processes).toMatchObject({ confirmed: true, known: 2, deciding: 2 })
    expect(queries).toBeGreaterThan(6)
    scrapedAt = 0
    queries = -1e9
    const late = await changeShare({ ...change, percent: 5, timeoutMs: 500 })
    expect(late.processes?.lagging.map(({ cause }) => cause)).toEqual([
      'was not scraped by Prometheus since the change',
      'was not scraped by Prometheus since the change',
    ])
  })

  it('ends with what is known when it is interrupted after the write', async () => {
    const file = await flagsFile()
    const bad = await started({ on: 10 })
    const stop = new AbortController()
    bad.onAsk = () => stop.abort()
    const result = await changeBack(options(file, [bad], { signal: stop.signal }))
    expect(result.applied).toBeDefined()
    expect(result).toMatchObject({ confirmed: false, processes: { deciding: 0, known: 1 } })
  })

  it('refuses an address that is none before anything is written', async () => {
    const file = await flagsFile()
    const change = { file, flag, by, percent: 50, flagd: false } as const
    for (const processes of [
      { metrics: ['localhost:3002'] },
      { prometheus: { url: 'prometheus:9090' } },
    ]) {
      await expect(changeShare({ ...change, processes })).rejects.toMatchObject({
        code: 'SB_METRICS_URL_INVALID',
      })
    }
    expect(await readFile(file, 'utf8')).toBe(usual)
  })
})

describe('a change that the file has already', () => {
  const atZero = usual.replace('10', '0').replace('90', '100')

  it('writes nothing while all decide it', async () => {
    const file = await flagsFile(atZero)
    const process = await started({ on: 0 })
    const { mtimeMs } = await stat(file)
    const result = await changeBack(options(file, [process]))
    expect(result).toMatchObject({ applied: undefined, confirmed: true })
    expect((await stat(file)).mtimeMs).toBe(mtimeMs)
    expect(await readHistory(file)).toEqual([])
  })

  it('writes the same content with a newer time while a process decides something else', async () => {
    const file = await flagsFile(atZero)
    const old = new Date(Date.now() + 600_000)
    await utimes(file, old, old)
    const process = await started({ on: 25 })
    process.onAsk = () => {
      void stat(file).then(({ mtimeMs }) => {
        if (mtimeMs > old.getTime()) process.says = { on: 0 }
      })
    }
    const result = await changeBack(options(file, [process]))
    expect(result).toMatchObject({ confirmed: true, processes: { deciding: 1 } })
    expect(result.applied).toBeDefined()
    expect(await readFile(file, 'utf8')).toBe(atZero)
    expect((await stat(file)).mtimeMs).toBeGreaterThan(old.getTime())
  })

  it('has nothing to undo, and the change before it is undone', async () => {
    const file = await flagsFile()
    const process = await started({ on: 25 })
    await changeShare({ ...options(file, []), percent: 0 })
    const again = await changeBack(options(file, [process], { timeoutMs: 100 }))
    expect(again.applied).toBeDefined()
    const undone = await changeUndo(options(file, []))
    expect(undone.edit).toMatchObject({ from: 0, to: 10 })
  })

  it('is newer than what switchback wrote before an older backup was moved over it', async () => {
    const file = await flagsFile()
    const future = new Date(Date.now() + 3_600_000)
    await utimes(file, future, future)
    await changeShare({ ...options(file, []), percent: 25 })
    const seen = (await stat(file)).mtimeMs
    expect(seen).toBeGreaterThan(future.getTime())
    const past = new Date(Date.now() - 3_600_000)
    await utimes(file, past, past)
    await changeBack(options(file, []))
    expect((await stat(file)).mtimeMs).toBeGreaterThan(seen)
  })
})

function vectorOf(text: string, instance: string): object[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [, name = '', inside = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      const labels = [...inside.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text])
      return {
        metric: { __name__: name, instance, ...Object.fromEntries(labels) },
        value: [0, value],
      }
    })
}
