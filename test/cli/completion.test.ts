import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCommand } from '../support/run-command.ts'

/** Whether a shell is installed here. */
function has(shell: string): boolean {
  try {
    execFileSync(shell, ['-c', 'true'])
    return true
  } catch {
    return false
  }
}

/** Has a shell read a script without running it. Of a file: Node's stdin is a socket, which no shell can open. */
async function check(shell: string, script: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'switchback-completion-'))
  try {
    const file = join(directory, `switchback.${shell}`)
    await writeFile(file, script)
    execFileSync(shell, ['-n', file], { stdio: 'pipe' })
  } finally {
    await rm(directory, { recursive: true })
  }
}

describe('completion', () => {
  it.skipIf(!has('bash'))('completes commands and options in bash', async () => {
    const { stdout } = await runCommand(['completion', 'bash'])
    const complete = (...line: string[]) => {
      const text = line.map((word) => `'${word}'`).join(' ')
      const script = `${stdout}\nCOMP_WORDS=(switchback ${text}); COMP_CWORD=${line.length}; _switchback; echo "\${COMPREPLY[@]}"`
      return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim()
    }
    expect(complete('ro')).toBe('rollback')
    expect(complete('set', '--fr')).toBe('--from')
    expect(complete('rollback', '--fr')).toBe('')
    // Files only where a file is meant.
    expect(complete('set', '')).toBe('')
    expect(complete('guard', '--metrics', '')).toBe('')
    expect(complete('guard', '--plan', 'package.js')).toBe('package.json')
    expect(complete('completion', 'z')).toBe('zsh')
    expect(complete('migrate', '')).toBe('enter leave return')
    expect(complete('migrate', 'r')).toBe('return')
  })

  it.each(['zsh', 'fish'])('is sound %s', async (shell) => {
    const { code, stdout } = await runCommand(['completion', shell])
    expect(code).toBe(0)
    expect(stdout).toContain('rollback')
    expect(stdout).toContain('keep-pilots')
    if (has(shell)) await check(shell, stdout)
  })

  it('names the shells that it knows', async () => {
    const { code, stderr } = await runCommand(['completion', 'ksh'])
    expect([code, stderr]).toEqual([
      2,
      'error: completion for "ksh" is not supported: name bash, zsh or fish\n',
    ])
  })
})
