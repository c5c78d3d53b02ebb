import { createServer } from 'node:http'
import { once } from 'node:events'
import { type AddressInfo } from 'node:net'
import { copyFile, utimes, writeFile } from 'node:fs/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  changeBack,
  changePilot,
  changeShare,
  compareServed,
  findProbes,
  loadFlags,
  readFlags,
  setShare,
} from '../../src/rollout/index.ts'
import { startFlagd } from '../support/flagd.ts'
import { flagsFile, usual } from './support.ts'

const flag = 'use-redis'
const by = { who: 'test', via: 'test' }

async function answering(handle: (path: string) => [number, string]): Promise<string> {
  const server = createServer((request, response) => {
    const [status, body] = handle(request.url ?? '')
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('probes', () => {
  const document = readFlags(usual)

  it.each([
    [10.001, 1],
    [10.1, 8],
    [25, 8],
    [100, 8],
    [9.999, 1],
    [5, 8],
    [0, 8],
  ])('straddle the boundary from 10 to %s', (percent, count) => {
    const { after } = setShare(document, { flag, percent })
    const { movers, stayers } = findProbes({
      flag,
      before: document,
      after,
      count,
      // One user in 100,000 moves: on a busy machine it takes its time to come to them.
      patienceMs: 60_000,
    })
    expect(movers.length).toBeGreaterThan(0)
    for (const { before, after: now } of movers) {
      expect([before, now]).toEqual(percent > 10 ? ['off', 'on'] : ['on', 'off'])
    }
    for (const { before, after: now } of stayers) expect(before).toBe(now)
  })
})

describe('confirm', () => {
  it('waits until flagd serves the change, for each of its users', async () => {
    const file = await flagsFile()
    const flagd = await startFlagd(file)
    for (const percent of [25, 50.5, 0.1]) {
      const { confirmation } = await changeShare({ file, flag, by, percent, flagd: flagd.url })
      expect(confirmation).toMatchObject({ confirmed: true, cause: '' })
      expect(confirmation?.movers).toBeGreaterThan(0)
      expect(confirmation?.lastMs).toBeGreaterThanOrEqual(confirmation?.servedMs ?? Infinity)
      const served = await compareServed(await loadFlags(file), { flag, url: flagd.url })
      expect(served).toMatchObject({ state: 'same', detail: '' })
    }
    const pilot = await changePilot({
      file,
      flag,
      by,
      flagd: flagd.url,
      attribute: 'plan',
      values: ['beta'],
    })
    expect(pilot.confirmation).toMatchObject({ confirmed: true })
    expect(pilot.confirmation?.movers).toBeGreaterThan(0)
    const back = await changeBack({ file, flag, by, flagd: flagd.url })
    expect(back.confirmation).toMatchObject({ confirmed: true, movers: 50 })
    const again = await changeBack({ file, flag, by, flagd: flagd.url })
    expect(again.applied).toBeUndefined()
    expect(again.confirmation).toMatchObject({ confirmed: true, movers: 0 })
  })

  it('confirms disabling, for rules of any shape', async () => {
    const odd = usual.replace(/"targeting": .*/, '"targeting": { "or": [{ "var": "x" }, "on"] }')
    const file = await flagsFile(odd)
    const flagd = await startFlagd(file)
    const { confirmation } = await changeBack({ file, flag, by, flagd: flagd.url, disable: true })
    expect(confirmation).toMatchObject({ confirmed: true })
    expect(confirmation?.movers).toBeGreaterThan(0)
  })

  it('tells that flagd still serves the old split', async () => {
    const file = await flagsFile()
    const other = await flagsFile()
    await copyFile(file, other)
    const flagd = await startFlagd(other)
    const { confirmation, applied } = await changeShare({
      file,
      flag,
      by,
      percent: 50,
      flagd: flagd.url,
      timeoutMs: 300,
    })
    expect(applied).toBeDefined()
    expect(confirmation).toMatchObject({
      confirmed: false,
      servedMs: undefined,
      cause: 'flagd still serves the old split',
    })
    const served = await compareServed(await loadFlags(file), { flag, url: flagd.url })
    expect(served.state).toBe('different')
  })

  it('tells that flagd has another file, or none of the flag', async () => {
    const file = await flagsFile()
    const other = await startFlagd(
      await flagsFile(usual.replaceAll('10', '1').replaceAll('90', '99')),
    )
    const options = { file, flag, by, timeoutMs: 300 }
    const one = await changeShare({ ...options, percent: 0, flagd: other.url })
    expect(one.confirmation?.confirmed).toBe(false)
    const none = await startFlagd(await flagsFile(usual.replace('use-redis', 'other')))
    const two = await changeShare({ ...options, percent: 5, flagd: none.url })
    expect(two.confirmation?.cause).toContain('does not know the flag')
  })

  it('tells that there was no time to ask', async () => {
    const file = await flagsFile()
    const { url } = await startFlagd(file)
    const options = { file, flag, by, percent: 25, flagd: url, timeoutMs: 0 }
    const { applied, confirmation } = await changeShare(options)
    expect(applied).toBeDefined()
    expect(confirmation).toMatchObject({
      confirmed: false,
      cause: expect.stringMatching(/^the time was up/),
      hint: expect.stringContaining('--timeout'),
    })
  })

  it('tells that flagd is gone, or that something else answers', async () => {
    const file = await flagsFile()
    const options = { file, flag, by, timeoutMs: 200 }
    const gone = await changeShare({ ...options, percent: 20, flagd: 'http://127.0.0.1:1' })
    expect(gone.confirmation?.cause).toContain('does not answer at http://127.0.0.1:1')
    const html = await answering(() => [200, '<html>'])
    const two = await changeShare({ ...options, percent: 30, flagd: html })
    expect(two.confirmation).toMatchObject({ hint: expect.stringContaining('8016') })
    const huge = await answering(() => [200, '"'.padEnd(3_000_000, 'x')])
    const three = await changeShare({ ...options, percent: 40, flagd: huge })
    expect(three.confirmation?.confirmed).toBe(false)
    await expect(
      changeShare({ ...options, percent: 50, flagd: 'localhost:8016' }),
    ).rejects.toMatchObject({
      code: 'SB_FLAGD_URL',
    })
  })

  it('does not hang on a flagd that accepts and never answers', async () => {
    const server = createServer(() => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const file = await flagsFile()
    const { confirmation } = await changeShare({
      file,
      flag,
      by,
      percent: 20,
      flagd: url,
      timeoutMs: 300,
    })
    expect(confirmation?.confirmed).toBe(false)
  })

  it('is served although the file came from the future, and after a file set back by hand', async () => {
    const file = await flagsFile()
    const flagd = await startFlagd(file)
    const future = new Date(Date.now() + 600_000)
    await utimes(file, future, future)
    const one = await changeShare({ file, flag, by, percent: 40, flagd: flagd.url })
    expect(one.confirmation?.confirmed).toBe(true)
    await writeFile(file, usual)
    await utimes(file, new Date(0), new Date(0))
    const two = await changeShare({ file, flag, by, percent: 60, flagd: flagd.url })
    expect(two.confirmation?.confirmed).toBe(true)
  })
})
