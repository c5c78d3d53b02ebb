import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { main } from '../../src/cli/index.ts'
import { flagsFile, onWeight, usual } from '../rollout/support.ts'

interface Terminals {
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
}

/** Runs a command where stdin has `answer`, and only these are a terminal. */
async function run(argv: readonly string[], answer: string, isTTY: Terminals) {
  const stdin = Object.assign(Readable.from([answer]), { isTTY: isTTY.stdin })
  let [out, err] = ['', '']
  const code = await main({
    argv: [...argv, '--no-flagd'],
    env: { NO_COLOR: '1' },
    stdin,
    stdout: { write: (part: string) => void (out += part), isTTY: isTTY.stdout },
    stderr: { write: (part: string) => void (err += part), isTTY: isTTY.stderr },
    signal: new AbortController().signal,
  })
  return { code, out, err, text: out + err }
}

/** At a terminal where somebody types `answer`. */
function atTerminal(argv: readonly string[], answer: string) {
  return run(argv, answer, { stdin: true, stdout: true, stderr: true })
}

describe('at a terminal', () => {
  it('set asks before it writes', async () => {
    const file = await flagsFile()
    const no = await atTerminal(['set', '25', '--file', file], 'n\n')
    expect(no.code).toBe(1)
    expect(no.text).toContain('write it? [y/N]')
    expect(no.text).toContain('nothing was written')
    expect((await atTerminal(['set', '25', '--file', file], '')).code).toBe(1)
    expect(await readFile(file, 'utf8')).toBe(usual)
    // More users on the new side are typed; fewer are agreed to by Enter.
    expect((await atTerminal(['set', '25', '--file', file], '\n')).code).toBe(1)
    const yes = await atTerminal(['set', '25', '--file', file], 'y\n')
    expect(yes.code).toBe(0)
    expect(await onWeight(file)).toBe(25)
    const less = await atTerminal(['set', '5', '--file', file], '\n')
    expect([less.code, await onWeight(file)]).toEqual([0, 5])
    expect(less.text).toContain('write it? [Y/n]')
  })

  it('--yes does not ask, and neither does what changes nothing', async () => {
    const file = await flagsFile()
    for (const argv of [
      ['set', '25', '--yes'],
      ['set', '25'],
    ]) {
      const { code, text } = await atTerminal([...argv, '--file', file], '')
      expect(code).toBe(0)
      expect(text).not.toContain('write it?')
    }
  })

  it('the help says when --yes is needed', async () => {
    const { text } = await atTerminal(['set', '--help'], '')
    expect(text).toMatch(/--yes.*needed without a terminal/s)
  })

  it('the question goes to stderr and says what it is about, so stdout may be a pipe or JSON', async () => {
    const file = await flagsFile()
    const piped = { stdin: true, stdout: false, stderr: true }
    const no = await run(['set', '25', '--json', '--file', file], 'n\n', piped)
    expect([no.code, no.out]).toEqual([1, ''])
    expect(no.err).toContain('use-redis: 10 % -> 25 %; write it? [y/N]')
    expect(await readFile(file, 'utf8')).toBe(usual)
    const yes = await run(['set', '25', '--json', '--file', file], 'y\n', piped)
    expect([yes.code, JSON.parse(yes.out).to]).toEqual([0, 25])
  })

  it('a rollback never asks', async () => {
    const file = await flagsFile()
    const { code, text } = await atTerminal(['rollback', '--file', file], 'n\n')
    expect(code).toBe(0)
    expect(text).not.toContain('?')
    expect(await onWeight(file)).toBe(0)
  })
})

describe('without a terminal', () => {
  const pilot = ['pilot', '--attribute', 'plan', '--in', 'beta']

  it.each([
    ['set', ['set', '25'], { stdin: false, stdout: false, stderr: false }],
    ['pilot', pilot, { stdin: false, stdout: true, stderr: true }],
    ['undo', ['undo'], { stdin: true, stdout: true, stderr: false }],
  ])('%s writes nothing, whatever stdin says: it needs --yes', async (name, argv, isTTY) => {
    const file = await flagsFile()
    if (name === 'undo') await run(['set', '20', '--yes', '--file', file], '', isTTY)
    const before = await readFile(file, 'utf8')
    for (const answer of ['n\n', 'y\n', '']) {
      const { code, out, err } = await run([...argv, '--file', file], answer, isTTY)
      expect([code, out]).toEqual([2, ''])
      expect(err).toContain(`${name} asks before it writes, and there is no terminal to ask at`)
      expect(err).toContain('add --yes')
    }
    expect(await readFile(file, 'utf8')).toBe(before)
    expect((await run([...argv, '--print', '--file', file], '', isTTY)).code).toBe(0)
    expect(await readFile(file, 'utf8')).toBe(before)
    expect((await run([...argv, '--yes', '--file', file], 'n\n', isTTY)).code).toBe(0)
    expect(await readFile(file, 'utf8')).not.toBe(before)
  })
})
