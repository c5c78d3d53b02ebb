import { accessSync, constants } from 'node:fs'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { main } from '../../src/cli/index.ts'
import { commands } from '../../src/cli/commands.ts'
import { switchback } from './support.ts'

/** Runs a command line in this process, with a terminal or without. */
async function run(
  argv: readonly string[],
  options: {
    readonly env?: Record<string, string>
    readonly isTTY?: boolean
    readonly signal?: AbortSignal
    readonly input?: string
  } = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const texts = { stdout: '', stderr: '' }
  const output = (name: keyof typeof texts) => ({
    write: (text: string) => void (texts[name] += text),
    isTTY: options.isTTY ?? false,
  })
  const code = await main({
    argv,
    env: options.env ?? {},
    stdin: Readable.from(options.input === undefined ? [] : [Buffer.from(options.input)]),
    stdout: output('stdout'),
    stderr: output('stderr'),
    signal: options.signal ?? new AbortController().signal,
  })
  return { code, ...texts }
}

describe('the command line', () => {
  it('is built as a program that can be run, as npx does it', () => {
    expect(() => accessSync('dist/cli/bin.js', constants.X_OK)).not.toThrow()
  })

  it('lists every command', async () => {
    const { code, stdout, stderr } = await run(['--help'])
    expect([code, stderr]).toEqual([0, ''])
    for (const name of Object.keys(commands)) expect(stdout).toContain(`  ${name} `)
  })

  it.each(Object.keys(commands))(
    '%s has help with two examples, within 100 columns',
    async (name) => {
      const { code, stdout, stderr } = await run([name, '--help'])
      expect([code, stderr]).toEqual([0, ''])
      const examples = stdout.slice(stdout.indexOf('Examples')).match(/switchback /g) ?? []
      expect(examples.length).toBeGreaterThanOrEqual(2)
      expect(stdout.startsWith(`switchback ${name}`)).toBe(true)
      expect((await run(['help', name])).stdout).toBe(stdout)
    },
  )

  it.each<[string, string[], string]>([
    ['no command', [], ''],
    ['an unknown command', ['stauts'], 'unknown command "stauts": did you mean "status"?'],
    ['a prototype’s name', ['constructor'], 'unknown command "constructor"'],
    [
      'an unknown option',
      ['status', '--flile', 'x'],
      'unknown option "--flile" for status: did you mean --file?',
    ],
    ['a missing value', ['status', '--file'], 'option --file needs a value: write --file=FILE'],
    ['an option for a value', ['status', '--file', '--flag', 'x'], 'option --file needs a value'],
    ['a value for a switch', ['status', '--json=1'], 'option --json takes no value'],
    ['too much', ['status', 'now'], 'status does not take "now"'],
    [
      'a negative share',
      ['set', '-5'],
      '"-5" is not a share in percent: write a number from 0 to 100',
    ],
    ['a longer one', ['preview', '-12.5'], '"-12.5" is not a share in percent'],
    [
      'a negative port',
      ['start', '--port', '-1'],
      '--port cannot be "-1": give a number from 0 to',
    ],
    [
      'a count without end',
      ['preview', '20', '--count', '1e9', '--file', 'flags/use-redis.json'],
      '--count "1e9" is more than 10,000,000 users',
    ],
    ['a share that is none', ['set', '101', '--yes'], '"101" is not a share in percent'],
    ['no share', ['set'], 'set needs a share'],
    [
      'a wrong count',
      ['preview', '5', '--count', 'x', '--file', 'flags/use-redis.json'],
      '--count "x"',
    ],
    ['a pilot of nothing', ['pilot', '--yes', '--attribute', 'plan'], 'pilot needs values'],
    [
      'a timeout that is none',
      ['set', '5', '--yes', '--timeout', 'soon', '--file', 'x'],
      '--timeout "soon"',
    ],
  ])('%s: one line that names the input and the remedy, exit 2', async (_, argv, message) => {
    const { code, stdout, stderr } = await run(argv)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(message)
    if (message !== '') expect(stderr.trim().split('\n')).toHaveLength(1)
  })

  it.each<[string[], Record<string, string>, string]>([
    [['status', '--file', 'nope.json'], {}, '"nope.json"'],
    [['validate', 'nope.json'], {}, '"nope.json"'],
    [['diff', 'nope.json', 'flags/use-redis.json'], {}, '"nope.json"'],
    [['status', '--flagd', 'foo'], {}, '--flagd: "foo"'],
    [['status'], { SWITCHBACK_FLAGD: 'foo' }, 'SWITCHBACK_FLAGD: "foo"'],
    [['guard', '--metrics', 'foo'], {}, '"foo"'],
    [['guard', '--prometheus', 'foo'], {}, '"foo"'],
    [['guard', '--plan', '/nope'], {}, '"/nope"'],
    [['pilot', '--yes', '--attribute', '', '--in', 'a', '--no-flagd'], {}, 'pilot'],
    [
      ['start', '--flags', '/nope', '--port', '0', '--metrics-port', '0', '--isolated'],
      {},
      '/nope',
    ],
    [['start', '--port', '0', '--metrics-port', '0'], { FLAGD_PORT: 'abc' }, 'FLAGD_PORT="abc"'],
    [['start', '--port', '0', '--metrics-port', '0'], { FLAGD_RESOLVER: 'foo' }, 'FLAGD_RESOLVER'],
    [['start', '--port', '0', '--metrics-port', '0', '--isolated'], { REDIS_URL: 'foo' }, '"foo"'],
    [['control', '--host', '0.0.0.0', '--port', '0', '--guard', 'off'], {}, '0.0.0.0'],
    [['watch', '--metrics', 'foo'], {}, '--metrics: "foo" is not a metrics URL'],
    [['guard', '--metrics', 'foo'], {}, '--metrics: "foo" is not a metrics URL'],
    [['control', '--metrics', 'foo'], {}, '--metrics: "foo" is not a metrics URL'],
    [['control'], { SWITCHBACK_METRICS: 'foo' }, 'SWITCHBACK_METRICS: "foo" is not a metrics URL'],
    [['status', '--prometheus', 'foo'], {}, '--prometheus: "foo" is not a metrics URL'],
    [['set', '5', '--yes', '--metrics', 'foo'], {}, '--metrics: "foo" is not a metrics URL'],
    [['rollback', '--prometheus', 'foo:9090'], {}, '--prometheus: "foo:9090"'],
    [['undo', '--yes', '--plan', '/nope'], {}, 'cannot read the plan "/nope"'],
    [['rollback'], { SWITCHBACK_METRICS: 'http://a/metrics,b' }, 'SWITCHBACK_METRICS: "b"'],
    [['rollback'], { SWITCHBACK_PROMETHEUS: 'foo' }, 'SWITCHBACK_PROMETHEUS: "foo"'],
    [['rollback'], { SWITCHBACK_PLAN: '/nope' }, '"/nope"'],
  ])('%j with %j is bad input: exit 2, and the input is named', async (argv, env, named) => {
    const { code, stderr } = await run(argv, { env })
    expect(stderr).toContain(named)
    expect(stderr).not.toContain('bug')
    expect(code).toBe(2)
  })

  it.each([
    [
      '[{"targetingKey":"a"},{"targetingKey":"b"}]\n',
      'line 1 is not a user: "[{\\"targetingKey\\":\\"a\\"},',
    ],
    ['', 'the list of users has no user'],
  ])('a list of users that is none, %j, is bad input: exit 2', async (input, named) => {
    const users = ['--users', '-']
    const file = 'flags/use-redis.json'
    for (const argv of [
      ['preview', '25', '--file', file, ...users],
      ['diff', file, file, ...users],
    ]) {
      const { code, stdout, stderr } = await run(argv, { input })
      expect(stderr).toContain(named)
      expect([code, stdout]).toEqual([2, ''])
    }
  })

  it('a flag that the file does not have is bad input, and the name meant is said', async () => {
    const wrong = ['--file', 'flags/use-redis.json', '--flag', 'use-rediss']
    for (const argv of [
      ['status'],
      ['preview', '25'],
      ['set', '25', '--yes', '--no-flagd'],
      ['rollback', '--no-flagd'],
      ['explain', 'user_1', '--no-flagd'],
    ]) {
      const { code, stderr } = await run([...argv, ...wrong])
      expect(stderr).toContain('did you mean "use-redis"?')
      expect(code).toBe(2)
    }
    const found = await run(['status', '--flag', 'use-rediss'])
    expect(found.stderr).toContain('did you mean "use-redis"?')
    expect(found.code).toBe(2)
  })

  it.each([
    ['PORT', 'abc'],
    ['METRICS_PORT', '-1'],
    ['DRAIN_SECONDS', 'soon'],
    ['ORIGIN_LATENCY_MS', 'x'],
    ['LOG_LEVEL', 'loud'],
  ])('a wrong %s is blamed by its own name, and its option by its own', async (name, value) => {
    const fromEnvironment = await run(['start'], { env: { [name]: value } })
    expect(fromEnvironment.stderr).toContain(`error: ${name} cannot be "${value}"`)
    expect(fromEnvironment.code).toBe(2)
    const fromOption = await run(['start', '--port', 'xyz'], { env: { [name]: value } })
    expect(fromOption.stderr).toContain('error: --port cannot be "xyz"')
  })

  it.each<[string[], Record<string, string>, string, number]>([
    [
      ['start', '--host', '192.0.2.1', '--isolated', '--port', '0', '--metrics-port', '0'],
      {},
      'cannot listen on "192.0.2.1": address not available (EADDRNOTAVAIL)',
      2,
    ],
    [['preview', '20', '--users', 'flags'], {}, '"flags" is a directory', 2],
    [['demo'], { TMPDIR: '/nonexistent' }, 'cannot make a directory at "/nonexistent/', 1],
    [['demo', '--json'], { TMPDIR: '/nonexistent' }, 'with TMPDIR', 1],
  ])('%j with %j is refused by the system, which is no bug', async (argv, env, message, code) => {
    const ended = await switchback(argv, { env })
    expect(ended.stderr).toContain(message)
    expect(ended.stderr).not.toMatch(/bug|node:/)
    expect(ended.code).toBe(code)
    if (argv.includes('--json')) {
      expect(JSON.parse(ended.stdout)).toMatchObject({ error: { code: 'SB_SYSTEM' } })
    }
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('%s while it starts: one line, and %i', async (name, expected) => {
    for (const argv of [['start', '--port', '0', '--metrics-port', '0', '--isolated'], ['demo']]) {
      const stop = AbortSignal.abort(new Error(name))
      const { code, stderr } = await run(argv, { signal: stop })
      const said = stderr.split('\n').filter((line) => !line.startsWith('{'))
      expect([code, said]).toEqual([expected, ['interrupted', '']])
    }
  })

  it('other errors are a message and what to do; with --json on stdout too', async () => {
    const { code, stdout, stderr } = await run(['status', '--file', 'nix.json', '--json'])
    expect(code).toBe(2)
    expect(stderr).toMatch(
      /^error: the flags file "nix.json" does not exist\n {2}name it with --file/,
    )
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'SB_FILE_MISSING' } })
  })

  it('colours on terminals only, and not when asked not to', async () => {
    const escape = '\u001B['
    expect((await run(['--help'], { isTTY: true })).stdout).toContain(escape)
    expect((await run(['--help'])).stdout).not.toContain(escape)
    expect((await run(['--help'], { isTTY: true, env: { NO_COLOR: '1' } })).stdout).not.toContain(
      escape,
    )
    expect((await run(['--help'], { isTTY: true, env: { TERM: 'dumb' } })).stdout).not.toContain(
      escape,
    )
    expect((await run(['stauts'], { isTTY: true })).stderr).toContain(escape)
  })

  it('is a program: version, help, exit codes', async () => {
    const [version, help, wrong] = await Promise.all([
      switchback(['--version']),
      switchback(['set', '--help']),
      switchback(['sett']),
    ])
    expect(version).toMatchObject({ code: 0, stderr: '' })
    expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(help.code).toBe(0)
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
  })
})
