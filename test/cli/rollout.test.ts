import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import { HUNG_MS } from '../support/until.ts'
import { fakeProcess } from '../support/fake-process.ts'
import { type Flagd, startFlagd } from '../support/flagd.ts'
import { type Ended, runCommand, type RunOptions } from '../support/run-command.ts'
import { switchback } from './support.ts'

/** A directory with `flags/use-redis.json`, and a flagd that serves it. */
interface Place {
  readonly cwd: string
  readonly file: string
  readonly flagd: Flagd
  run(argv: readonly string[], options?: RunOptions): Promise<Ended>
  json(argv: readonly string[], options?: RunOptions): Promise<Record<string, unknown>>
}

async function place(): Promise<Place> {
  const cwd = await temporaryDirectory()
  await mkdir(join(cwd, 'flags'))
  const file = join(cwd, 'flags', 'use-redis.json')
  await writeFile(file, usual)
  const flagd = await startFlagd(file)
  const env = { SWITCHBACK_FLAGD: flagd.url, SWITCHBACK_WHO: 'ann@test' }
  const run: Place['run'] = (argv, options = {}) =>
    runCommand(argv, { cwd, ...options, env: { ...env, ...options.env } })
  return {
    cwd,
    file,
    flagd,
    run,
    async json(argv, options) {
      const { stdout, stderr } = await run([...argv, '--json'], options)
      expect(stderr).toBe('')
      expect(stdout.trim().split('\n')).toHaveLength(1)
      return JSON.parse(stdout)
    },
  }
}

/** Where something listens and never answers. */
async function silentAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}`
}

let here: Place
beforeEach(async () => {
  here = await place()
})

describe('a change', () => {
  it.each([
    [['set', '78', '--yes']],
    [['rollback']],
    [['undo', '--yes']],
    [['pilot', '--yes', '--attribute', 'plan', '--in', 'beta']],
  ])('%j writes nothing when the address of flagd is none', async (argv) => {
    await here.run(['set', '20', '--yes'])
    const before = await readFile(here.file, 'utf8')
    const { code, stderr } = await here.run([...argv, '--flagd', 'foo'])
    expect(stderr).toContain('--flagd: "foo" is not a valid flagd URL')
    expect(code).toBe(2)
    expect(await readFile(here.file, 'utf8')).toBe(before)
  })

  it('interrupted after the write says that it is written', async () => {
    const stop = new AbortController()
    const ended = switchback(
      ['set', '78', '--yes', '--json', '--timeout', '60', '--flagd', await silentAddress()],
      { cwd: here.cwd, signal: stop.signal },
    )
    await vi.waitFor(async () => expect(await readFile(here.file, 'utf8')).toContain('78'), HUNG_MS)
    stop.abort()
    const { code, stdout } = await ended
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      written: true,
      flagd: { confirmed: false, cause: 'interrupted while waiting for flagd' },
    })
    expect(code).toBe(3)
  })
})

describe('status', () => {
  it('tells the split, who gets what, and that flagd serves it', async () => {
    const { code, stdout, stderr } = await here.run(['status'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout.split('\n')[0]).toBe('use-redis  flags/use-redis.json')
    expect(stdout).toContain('share     10 %  (on 10 : off 90)')
    expect(stdout).toContain('shape     plain')
    expect(stdout).toContain('10 % of users get "on", by targeting key; without one, "off".')
    expect(stdout).toContain('serves what the file says')
    expect(await here.json(['status'])).toMatchObject({
      ok: true,
      share: 10,
      shape: 'plain',
      state: 'ENABLED',
      defaultVariant: 'off',
      flagd: { state: 'same' },
    })
  })

  it('exits 1 when flagd serves something else, 3 when it does not answer', async () => {
    const other = await place()
    await writeFile(other.file, usual.replace('10], ["off", 90]', '11], ["off", 89]'))
    const different = await other.run(['status', '--flagd', here.flagd.url])
    expect(different.code).toBe(1)
    expect(different.stdout).toMatch(
      /does not serve what the file says: \d+ of \d+ probe users differ/,
    )
    const gone = await here.run(['status', '--flagd', 'http://127.0.0.1:1'])
    expect(gone).toMatchObject({ code: 3, stdout: expect.stringContaining('does not answer') })
    expect((await here.run(['status', '--no-flagd'])).code).toBe(0)
  })

  it('exits 1 for a rule that is not understood, with the place', async () => {
    const odd = '"targeting": { "or": [{ "var": "x" }, "on"] }'
    await writeFile(here.file, usual.replace(/"targeting": .*/, odd))
    const { code, stdout } = await here.run(['status', '--no-flagd'])
    expect(code).toBe(1)
    expect(stdout).toContain('unknown: the operator "or" decides')
    expect(stdout).toContain('line 8, column 20')
  })
})

describe('set', () => {
  it('shows before and after and who moves, writes, and waits for flagd', async () => {
    const { code, stdout, stderr } = await here.run(['set', '25', '--yes'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('share     10 % -> 25 %')
    expect(stdout).toContain('1,512 of 10,000 sample users join, nobody leaves')
    expect(stdout).toContain('- "targeting": { "fractional": [["on", 10], ["off", 90]] }')
    expect(stdout).toContain('+ "targeting": { "fractional": [["on", 25], ["off", 75]] }')
    expect(stdout).toMatch(/served {4}by flagd after [\d.,]+ ms\n/)
    expect(stdout.trim()).toMatch(/\n {2}apps {6}not asked: .*--metrics .*SWITCHBACK_METRICS$/)
    expect(await readFile(here.file, 'utf8')).toBe(
      usual.replace('["on", 10], ["off", 90]', '["on", 25], ["off", 75]'),
    )
  })

  it('says the same to machines', async () => {
    const result = await here.json(['set', '12.5', '--yes'])
    expect(result).toMatchObject({
      ok: true,
      command: 'set',
      action: 'set',
      from: 10,
      to: 12.5,
      written: true,
      users: { sample: 10_000, leaves: 0 },
      flagd: { confirmed: true, cause: '' },
      warning: '',
    })
    expect(await here.json(['set', '12.5', '--yes'])).toMatchObject({ ok: true, written: false })
  })

  it('warns whoever sends users to a new side that is down; a rollback has no need to', async () => {
    await using app = await fakeProcess({ on: 25, newSideUp: 0 })
    const metrics = ['--metrics', app.url]
    const { host } = new URL(app.url)
    const down = `the new side (Redis) is down at 1 of 1 processes (${host})`
    const { code, stdout } = await here.run(['set', '25', '--yes', ...metrics])
    expect(stdout).toMatch(/served {4}by flagd after .*; 1 of 1 process after/)
    expect(stdout).toContain(`warning   ${down}: its users are served by the old side`)
    expect(code).toBe(0)
    expect(await here.json(['set', '25', '--yes', ...metrics])).toMatchObject({
      ok: true,
      written: false,
      warning: expect.stringContaining(down),
      processes: { newSideDown: [{ process: host, newSide: 'redis' }] },
    })
    app.says = { on: 0, newSideUp: 0 }
    expect((await here.run(['rollback', ...metrics])).stdout).not.toContain('warning')
  })

  it('refuses when the share is no longer what was seen', async () => {
    const { code, stdout, stderr } = await here.run(['set', '25', '--yes', '--from', '5'])
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('the share of "use-redis" is 10 %, not 5 %')
    expect(await readFile(here.file, 'utf8')).toBe(usual)
  })

  it('exits 3 when flagd does not take it up, with the likely cause', async () => {
    const other = await place()
    const { code, stdout } = await here.run([
      'set',
      '25',
      '--yes',
      '--flagd',
      other.flagd.url,
      '--timeout',
      '0.3',
    ])
    expect(code).toBe(3)
    expect(stdout).toContain(
      'NOT everywhere yet (the file is written): flagd still serves the old split',
    )
    expect(stdout).toContain('switchback doctor')
  })

  it('prints the new file instead of writing it', async () => {
    const { code, stdout } = await here.run(['set', '25', '--print'])
    expect(code).toBe(0)
    expect(stdout).toBe(usual.replace('["on", 10], ["off", 90]', '["on", 25], ["off", 75]'))
    expect(await readFile(here.file, 'utf8')).toBe(usual)
  })

  it('refuses comments with the place', async () => {
    await writeFile(here.file, usual.replace('"flags"', '// the split\n  "flags"'))
    const { code, stderr } = await here.run([
      'set',
      '25',
      '--yes',
      '--file',
      'flags/use-redis.json',
    ])
    expect(code).toBe(2)
    expect(stderr).toContain('line 3, column 3: comments are not allowed')
  })

  it('stops waiting at Ctrl-C', async () => {
    const other = await place()
    const argv = ['set', '25', '--yes', '--flagd', other.flagd.url, '--timeout', '600']
    const stop = new AbortController()
    const ended = switchback(argv, { cwd: here.cwd, signal: stop.signal })
    await vi.waitFor(async () => expect(await readFile(here.file, 'utf8')).toContain('25'), HUNG_MS)
    stop.abort()
    expect((await ended).code).not.toBe(0)
  })
})

describe('rollback and undo', () => {
  it('take everybody back, and bring them on again', async () => {
    await here.run(['set', '50', '--yes'])
    const back = await here.run(['rollback', '--reason', 'redis slow'])
    expect(back.code).toBe(0)
    expect(back.stdout).toContain('share     50 % -> 0 %')
    expect(back.stdout).toMatch(/served {4}by flagd after [\d.,]+ ms\n/)
    expect(await here.json(['status'])).toMatchObject({ share: 0, flagd: { state: 'same' } })
    expect(await here.json(['undo', '--yes'])).toMatchObject({ ok: true, from: 0, to: 50 })
    const history = await here.run(['history'])
    expect(history.stdout.split('\n')[0]).toBe('use-redis  flags/use-redis.history.jsonl')
    const lines = history.stdout.trim().split('\n').slice(1)
    expect(lines.map((line) => line.split(/ {2,}/).slice(2))).toEqual([
      ['ann@test', 'undo', '0 % -> 50 %'],
      ['ann@test', 'rollback', '50 % -> 0 %', 'redis slow'],
      ['ann@test', 'set', '10 % -> 50 %'],
    ])
    expect(await here.json(['history', '--limit', '1'])).toMatchObject({
      entries: [{ action: 'undo', who: 'ann@test', via: 'cli' }],
    })
    expect(await here.json(['undo', '--yes'])).toMatchObject({ to: 10 })
    const nothing = await here.run(['undo', '--yes'])
    expect(nothing).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no edit of "use-redis" to undo'),
    })
  })

  it('rolls back with flagd gone, and says so', async () => {
    const { code, stdout } = await here.run([
      'rollback',
      '--flagd',
      'http://127.0.0.1:1',
      '--timeout',
      '0.2',
    ])
    expect(code).toBe(3)
    expect(stdout).toContain('NOT back yet (the file is written): flagd does not answer at')
    expect(
      JSON.parse(await readFile(here.file, 'utf8')).flags['use-redis'].targeting.fractional,
    ).toEqual([
      ['on', 0],
      ['off', 100],
    ])
    // Once more, since not all had it.
    await here.run(['rollback', '--flagd', 'http://127.0.0.1:1', '--timeout', '0.2'])
    expect((await here.run(['status'])).stdout).toMatch(/^ {2}last {6}rollback 0 % again by /m)
  })
})

describe('pilot', () => {
  it('puts a segment before the split and takes it away, to the same text', async () => {
    const { code, stdout } = await here.run([
      'pilot',
      '--yes',
      '--attribute',
      'plan',
      '--in',
      'internal, beta',
    ])
    expect(code).toBe(0)
    expect(stdout).toContain('pilot     plan "internal", "beta" are routed to the new side')
    const status = await here.json(['status'])
    expect(status).toMatchObject({
      shape: 'segment first',
      share: 10,
      pilots: [{ attribute: 'plan', values: ['internal', 'beta'] }],
      flagd: { state: 'same' },
    })
    expect(await here.json(['pilot', '--yes', '--feature', 'avatars'])).toMatchObject({
      action: 'pilot',
      written: true,
    })
    expect((await here.run(['pilot', '--yes', '--feature', 'avatars', '--remove'])).code).toBe(0)
    expect((await here.run(['pilot', '--yes', '--attribute', 'plan', '--remove'])).code).toBe(0)
    expect(await readFile(here.file, 'utf8')).toBe(usual)
    const missing = await here.run(['pilot', '--yes', '--attribute', 'plan', '--remove'])
    expect(missing).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no pilot on "plan"'),
    })
  })
})

describe('preview and diff', () => {
  it('and history ask no flagd: an address that is none is none of theirs', async () => {
    const env = { SWITCHBACK_FLAGD: 'foo' }
    for (const argv of [['preview', '25', '--count', '10'], ['history']]) {
      expect((await here.run(argv, { env })).code).toBe(0)
      const { code, stderr } = await here.run([...argv, '--flagd', here.flagd.url])
      expect(stderr).toContain('unknown option "--flagd"')
      expect(code).toBe(2)
    }
  })

  it('tell who joins and who leaves', async () => {
    const { code, stdout } = await here.run(['preview', '25', '--count', '10000'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/on {8}1,033 -> 2,545\n +join {6}1,512 {2}\(user_/)
    expect(stdout).toMatch(/leave {5}nobody/)
    expect(await readFile(here.file, 'utf8')).toBe(usual)
    const users = Array.from({ length: 100 }, (_, index) => `user_${index}`).join('\n')
    expect(await here.json(['preview', '100', '--users', '-'], { input: users })).toMatchObject({
      users: 100,
      on: { after: 100 },
    })
    await writeFile(join(here.cwd, 'users.txt'), '{"targetingKey":"user_1"}\nuser_2\n')
    expect(await here.json(['preview', '100', '--users', 'users.txt'])).toMatchObject({ users: 2 })
    expect((await here.run(['preview', '5', '--users', 'nix.txt'])).code).toBe(2)
  })

  it('say loudly when anybody leaves although the share does not shrink', async () => {
    const swapped = join(here.cwd, 'swapped.json')
    await writeFile(swapped, usual.replace('["on", 10], ["off", 90]', '["off", 90], ["on", 10]'))
    const { code, stdout } = await here.run(['diff', here.file, swapped, '--count', '5000'])
    expect(stdout).toContain('the order of the entries changed')
    const shrinks = !stdout.includes('Users LEAVE')
    expect(code).toBe(shrinks ? 0 : 1)
    const wider = join(here.cwd, 'wider.json')
    await writeFile(wider, usual.replace('["on", 10], ["off", 90]', '["off", 60], ["on", 40]'))
    const loud = await here.run(['diff', here.file, wider, '--count', '5000'])
    expect(loud.code).toBe(1)
    expect(loud.stdout).toContain('Users LEAVE the new side although its share does not shrink.')
  })
})

describe('a file that cannot be read as one', () => {
  it.each([
    ['broken JSON', '{"flags": {', '", line 1, column 12: '],
    ['a byte order mark', '\uFEFF{"flags":{}}', '", line 1, column 1: the file begins with'],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), '" is not valid UTF-8'],
  ])('%s: the error names it', async (_, content, message) => {
    const bad = join(here.cwd, 'bad.json')
    await writeFile(bad, content)
    for (const argv of [['status'], ['set', '25', '--yes']]) {
      const { code, stderr } = await here.run([...argv, '--file', bad])
      expect(stderr).toContain(`${bad}${message}`)
      expect(code).toBe(2)
    }
  })

  it('does not hide what validate finds in the others', async () => {
    await writeFile(join(here.cwd, 'a.json'), usual)
    await writeFile(join(here.cwd, 'b.json'), usual.replace('["on", 10]', '["on", 12.5]'))
    const { code, stdout, stderr } = await here.run(['validate', 'a.json', 'nope.json', 'b.json'])
    expect([code, stderr]).toEqual([1, ''])
    expect(stdout).toContain('a.json  fine')
    expect(stdout).toMatch(
      /nope\.json:1:1 {2}error unreadable\n {2}the flags file ".*nope.json" does not exist/,
    )
    expect(stdout).toMatch(/b\.json:8:\d+ {2}error weights/)
  })

  it('is not to be named by an option that the command does not have', async () => {
    for (const argv of [
      ['validate', 'nope.json'],
      ['diff', 'nope.json', here.file],
    ]) {
      const { code, stderr } = await here.run(argv)
      expect(stderr).toContain('"nope.json"')
      expect(stderr).not.toContain('--file')
      expect(code).toBe(2)
    }
  })
})

describe('validate', () => {
  it('names file, line, column, reason and fix', async () => {
    const broken = usual.replace('["on", 10]', '["on", 12.5]').replace('"off", 90', '"of", 90')
    await writeFile(here.file, broken)
    const { code, stdout } = await here.run(['validate'])
    expect(code).toBe(1)
    expect(stdout).toContain(
      'flags/use-redis.json:8:44  error weights\n  the weight 12.5 is not whole',
    )
    expect(stdout).toContain('error unknown-variant')
    expect(stdout).toContain('  fix: did you mean "off"?')
    expect(stdout).toContain('2 errors, 0 warnings')
    expect(await here.json(['validate'])).toMatchObject({
      ok: false,
      files: [{ findings: [{ line: 8, column: 44 }, {}] }],
    })
  })

  it('is content with a file that is fine, and compares with a former one', async () => {
    expect(await here.run(['validate', here.file])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('fine'),
    })
    const old = join(here.cwd, 'old.json')
    await writeFile(old, usual.replace('"defaultVariant": "off"', '"defaultVariant": "on"'))
    const compared = await here.run(['validate', here.file, '--against', old])
    expect(compared).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('default-variant-changed'),
    })
    expect((await here.run(['validate', here.file, '--against', old, '--strict'])).code).toBe(1)
  })
})

describe('finding the file', () => {
  it('takes the one in flags/ that has the flag, and asks when two have', async () => {
    const second = join(here.cwd, 'flags', 'b.json')
    await writeFile(second, usual.replace('use-redis', 'other'))
    expect(await here.json(['status', '--no-flagd', '--flag', 'other'])).toMatchObject({
      file: 'flags/b.json',
    })
    await writeFile(second, usual)
    const two = await here.run(['status'])
    expect(two).toMatchObject({ code: 2, stderr: expect.stringContaining('name one with --file') })
    const environment = { SWITCHBACK_FILE: 'flags/b.json' }
    expect(await here.json(['status', '--no-flagd'], { env: environment })).toMatchObject({
      file: 'flags/b.json',
    })
    const none = await here.run(['status', '--flag', 'none'])
    expect(none).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no file in flags/ has the flag "none"'),
    })
  })
})
