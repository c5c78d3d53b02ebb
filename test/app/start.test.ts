import { existsSync } from 'node:fs'
// @needs redis
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { main } from '../../src/cli/index.ts'
import { answersPing, freePort } from '../../src/cli/provision/index.ts'
import { pickPort } from '../../src/cli/running/pick-port.ts'
import { until } from '../provision/support.ts'
import { runCli, startApp } from './child.ts'
import { ask } from './support.ts'

async function takenPort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

const redisPort = (stdout: string): number =>
  Number(/redis\s+redis:\/\/127\.0\.0\.1:(\d+) \(started for this run, pid \d+\)/.exec(stdout)?.[1])

describe('switchback start', () => {
  it('says what it stands on and what to try next, with a Redis of its own', async () => {
    const app = await startApp()
    const text = app.stdout()
    expect(text).toMatch(/^ {2}service +http:\/\/127\.0\.0\.1:\d+$/m)
    expect(text).toMatch(/^ {2}metrics +http:\/\/127\.0\.0\.1:\d+\/metrics$/m)
    expect(text).toMatch(/^ {2}flags +\S+, served by the embedded sidecar on ports [\d, ]+$/m)
    expect(text).toMatch(/^ {2}try +curl -i http:\/\/127\.0\.0\.1:\d+\/users\/user_0$/m)
    expect(text).toContain(app.flagsFile)
    expect(await answersPing('127.0.0.1', redisPort(text))).toBe(true)
    expect(await ask(`${app.url}/readyz`)).toMatchObject({ status: 200, body: { status: 'ok' } })
    expect(await ask(app.metricsUrl)).toMatchObject({ status: 200 })
    for (const line of app.stderr().trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
  })

  it('says what is configured and does not answer, and serves all the same', async () => {
    const nobody = `${await freePort()}`
    const app = await startApp([], {
      REDIS_URL: `redis://app:hunter2@127.0.0.1:${nobody}`,
      FLAGD_HOST: '127.0.0.1',
      FLAGD_PORT: nobody,
    })
    expect(app.stdout()).toMatch(/control +not started/)
    expect(app.stdout()).toMatch(
      /^ {2}flags +flagd rpc at 127\.0\.0\.1:\d+; does not answer yet: /m,
    )
    expect(app.stdout()).toMatch(/^ +it does not serve --flags \S+/m)
    expect(app.stdout()).toMatch(
      /^ {2}redis +redis:\/\/app:\*{3}@\S+ \(REDIS_URL\); does not answer yet: /m,
    )
    expect(app.stdout() + app.stderr()).not.toContain('hunter2')
    expect(await ask(`${app.url}/users/user_0`)).toMatchObject({ status: 200, side: 'off' })
    expect(await ask(`${app.url}/readyz`)).toMatchObject({
      status: 200,
      body: { status: 'degraded', checks: { flags: { ok: false } } },
    })
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'on %s drains, ends its Redis, and exits with 0',
    async (signal) => {
      const app = await startApp(['--origin-latency', '300'])
      const slow = ask(`${app.url}/users/slow`)
      await until('it is under way', () => hasRequest(app.metricsUrl))
      app.kill(signal)
      expect(await slow).toMatchObject({ status: 200, body: { data: 'UserData for slow' } })
      expect(await app.ended).toBe(0)
      expect(await answersPing('127.0.0.1', redisPort(app.stdout()))).toBe(false)
    },
  )

  it('cuts what does not end within the deadline', async () => {
    const app = await startApp(['--origin-latency', '600000', '--drain', '0.2'])
    const stuck = ask(`${app.url}/users/stuck`).catch((error: Error) => error)
    await until('it is under way', () => hasRequest(app.metricsUrl))
    app.kill('SIGTERM')
    expect(await stuck).toBeInstanceOf(Error)
    expect(await app.ended).toBe(0)
  })

  it('runs the control page and a trickle of traffic beside it', async () => {
    const app = await startApp([], {}, [])
    const control = /control\s+(http:\S+)/.exec(app.stdout())?.[1] ?? ''
    const page = await fetch(control)
    expect(page.headers.get('content-type')).toContain('text/html')
    await until('the page sees the traffic', async () => {
      const state = await (await fetch(`${control}/api/state`)).text()
      const metrics = await (await fetch(app.metricsUrl)).text()
      return state.includes('"share"') && /operation="getOrSet",outcome="miss"} [1-9]/.test(metrics)
    })
    app.kill('SIGINT')
    expect(await app.ended).toBe(0)
    await expect(fetch(control)).rejects.toThrow()
  })

  it('is forced by a second signal', async () => {
    const app = await startApp(['--origin-latency', '600000', '--drain', '600'])
    const stuck = ask(`${app.url}/users/stuck`).catch((error: Error) => error)
    await until('it is under way', () => hasRequest(app.metricsUrl))
    app.kill('SIGINT')
    await until('it drains', () => app.stdout().includes('stopping'))
    // Until it counts as a second keystroke.
    const again = setInterval(() => app.kill('SIGINT'), 50)
    expect(await app.ended).toBe(130)
    clearInterval(again)
    expect(await stuck).toBeInstanceOf(Error)
    const port = redisPort(app.stdout())
    await until('its Redis ends', async () => !(await answersPing('127.0.0.1', port)))
  })

  it('takes a Ctrl-C that npm passes on, too, for one', async () => {
    const app = await startApp(['--origin-latency', '300'])
    const slow = ask(`${app.url}/users/slow`)
    await until('it is under way', () => hasRequest(app.metricsUrl))
    app.kill('SIGINT')
    app.kill('SIGINT')
    expect(await slow).toMatchObject({ status: 200 })
    expect(await app.ended).toBe(0)
  })

  it('keeps files of its own beside a Redis of its own, since nobody else sees that Redis', async () => {
    const [one, other] = [await startApp(), await startApp()]
    const files = (app: { stdout: () => string }): string =>
      /files\s+(\S+)/.exec(app.stdout())?.[1] ?? ''
    expect(files(one)).toMatch(/run-\d+$/)
    expect(files(one)).not.toBe(files(other))
    await ask(`${one.url}/users/user_1`)
    expect(existsSync(files(one))).toBe(true)
    one.kill('SIGTERM')
    await one.ended
    expect(existsSync(files(one))).toBe(false)
  })

  it('takes its Redis with it when it is SIGKILLed', async () => {
    const app = await startApp()
    const port = redisPort(app.stdout())
    expect(await answersPing('127.0.0.1', port)).toBe(true)
    app.kill('SIGKILL')
    await until('its Redis ends', async () => !(await answersPing('127.0.0.1', port)))
  })

  it.each([
    ['--port', '--port or PORT'],
    ['--metrics-port', '--metrics-port or METRICS_PORT'],
  ])('names a taken %s and how to choose another', async (option, remedy) => {
    const taken = await takenPort()
    const free = option === '--port' ? '--metrics-port' : '--port'
    expect(await refused('start', '--isolated', free, '0', option, `${taken}`)).toEqual({
      code: 1,
      stderr: `error: port ${taken} of 127.0.0.1 is in use\n  choose another one with ${remedy}\n`,
    })
  })

  it.each([
    [['--port', 'http'], '--port cannot be "http"'],
    [['--port', '65536'], '--port cannot be "65536"'],
    [['--drain', 'soon'], '--drain cannot be "soon"'],
    [['--origin-latency=-1'], '--origin-latency cannot be "-1"'],
    [['--log-level', 'loud'], '--log-level cannot be "loud"'],
    [['--ports', '1'], 'unknown option "--ports"'],
    [['--port', '3400', '--metrics-port', '3400'], '--port and --metrics-port are both 3400'],
    [['--flags', '/nope'], '--flags: "/nope" does not exist'],
  ])('refuses %j in one line', async (args, message) => {
    const { code, stderr } = await refused('start', ...args)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })

  it('says so when there are no flags to serve, and leaves nothing running', async () => {
    const cli = runCli('start --isolated --port 0 --metrics-port 0 --flags /nowhere'.split(' '))
    expect(await cli.ended).toBe(2)
    expect(cli.stderr()).toMatch(/^error: .*"\/nowhere"/)
  })
})

/** A command line that comes to nothing, in this process. */
async function refused(...argv: string[]): Promise<{ code: number; stderr: string }> {
  let stderr = ''
  const sink = { write: () => {} }
  const code = await main({
    argv,
    env: {},
    stdin: Readable.from([]),
    stdout: sink,
    stderr: { write: (text) => void (stderr += text) },
    signal: new AbortController().signal,
  })
  return { code, stderr }
}

describe('pickPort', () => {
  const wish = { host: '127.0.0.1', option: '--port or PORT' }

  it('makes way when the default is taken, and says for what', async () => {
    const taken = await takenPort()
    const picked = await pickPort({ ...wish, asked: undefined, preferred: taken })
    expect(picked.instead).toBe(taken)
    expect(picked.port).toBeGreaterThan(taken)
  })

  it('takes the default, or what was asked for, when it is free', async () => {
    const free = await freePort()
    expect(await pickPort({ ...wish, asked: undefined, preferred: free })).toEqual({
      port: free,
      instead: undefined,
    })
    expect(await pickPort({ ...wish, asked: free, preferred: 1 })).toEqual({
      port: free,
      instead: undefined,
    })
    expect(await pickPort({ ...wish, asked: 0, preferred: 1 })).toEqual({
      port: 0,
      instead: undefined,
    })
  })

  it('leaves a port to another listener of ours', async () => {
    const preferred = await freePort()
    const picked = await pickPort({ ...wish, asked: undefined, preferred, besides: preferred })
    expect(picked).toEqual({ port: expect.any(Number), instead: preferred })
    expect(picked.port).toBeGreaterThan(preferred)
  })

  it('refuses an address that is not ours', async () => {
    await expect(
      pickPort({ ...wish, host: '192.0.2.1', asked: undefined, preferred: 3000 }),
    ).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' })
  })
})

/** Whether a request is under way: the flag was asked for it. */
async function hasRequest(metricsUrl: string): Promise<boolean> {
  return /^switchback_decisions_total\{.*\} [1-9]/m.test(String((await ask(metricsUrl)).body))
}
