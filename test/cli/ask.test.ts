import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { main } from '../../src/cli/index.ts'
import { flagsFile, onWeight, usual } from '../rollout/support.ts'

/** Runs a command at a terminal where somebody types `answer`. */
async function atTerminal(argv: readonly string[], answer: string) {
  const stdin = Object.assign(Readable.from([answer]), { isTTY: true })
  let text = ''
  const output = { write: (part: string) => void (text += part), isTTY: true }
  const code = await main({
    argv: [...argv, '--no-flagd'],
    env: { NO_COLOR: '1' },
    stdin,
    stdout: output,
    stderr: output,
    signal: new AbortController().signal,
  })
  return { code, text }
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

  it('the help says that only a terminal is asked', async () => {
    const { text } = await atTerminal(['set', '--help'], '')
    expect(text).toMatch(/--yes.*none without a terminal/s)
  })

  it('a rollback never asks', async () => {
    const file = await flagsFile()
    const { code, text } = await atTerminal(['rollback', '--file', file], 'n\n')
    expect(code).toBe(0)
    expect(text).not.toContain('?')
    expect(await onWeight(file)).toBe(0)
  })
})
