import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { supervise } from '../../src/cli/provision/index.ts'
import { isAlive, temporaryDirectory, until, zombiesOf } from './support.ts'

const BUILT = new URL('../../build/cli/provision/index.js', import.meta.url).href

/** A process that supervises another one, tells both ids, having done as `prepare` says. */
async function parent(prepare: string): Promise<{
  readonly process: ChildProcess
  readonly child: number
  readonly directory: string
}> {
  const root = await temporaryDirectory()
  const directory = join(root, 'data')
  await mkdir(directory)
  await writeFile(join(directory, 'file'), 'x')
  const script = `
    import { supervise } from ${JSON.stringify(BUILT)}
    import { readFileSync } from 'node:fs'
    const pidFile = ${JSON.stringify(join(root, 'pid'))}
    const child = supervise({
      command: ['/bin/sh', '-c', 'echo $$ >' + pidFile + '; exec sleep 1000'],
      directory: ${JSON.stringify(directory)},
    })
    let pid = ''
    while (pid === '') {
      await new Promise((resolve) => setTimeout(resolve, 10))
      try { pid = readFileSync(pidFile, 'utf8').trim() } catch {}
    }
    ${prepare}
    console.log(pid)
  `
  const running = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  onTestFinished(() => void running.kill('SIGKILL'))
  const [line] = (await once(createInterface(running.stdout), 'line')) as [string]
  return { process: running, child: Number(line), directory }
}

const STAY = 'setInterval(() => {}, 1000)'

describe('a supervised program', () => {
  it('ends with its parent, even one that was SIGKILLed, and its directory goes', async () => {
    const { process: running, child, directory } = await parent(STAY)
    expect(await isAlive(child)).toBe(true)
    running.kill('SIGKILL')
    await until('the child ends', async () => !(await isAlive(child)))
    await until('the directory goes', () => !existsSync(directory))
  })

  it('ends with its parent when it is itself stopped', async () => {
    const { process: running, child, directory } = await parent(STAY)
    process.kill(child, 'SIGSTOP')
    running.kill('SIGKILL')
    await until('the child ends', async () => !(await isAlive(child)))
    await until('the directory goes', () => !existsSync(directory))
  })

  it('does not keep its parent running, and ends with it', async () => {
    const { process: running, child, directory } = await parent('')
    const [code] = (await once(running, 'exit')) as [number]
    expect(code).toBe(0)
    await until('the child ends', async () => !(await isAlive(child)))
    await until('the directory goes', () => !existsSync(directory))
  })

  it('outlives a Ctrl-C, which goes to the whole group of its parent', async () => {
    const { process: running, child } = await parent(
      `process.on('SIGINT', () => console.log('interrupted')); ${STAY}`,
    )
    const lines = createInterface(running.stdout!)
    process.kill(-running.pid!, 'SIGINT')
    expect(await once(lines, 'line')).toEqual(['interrupted'])
    expect(await isAlive(child)).toBe(true)
    running.kill('SIGKILL')
    await until('the child ends', async () => !(await isAlive(child)))
  })

  it('can be closed more than once, and leaves no zombie and no directory', async () => {
    const directory = await temporaryDirectory()
    const program = supervise({ command: ['/bin/sh', '-c', 'exec sleep 1000'], directory })
    await program.close()
    expect(existsSync(directory)).toBe(false)
    await program.close()
    await expect(program.ended).resolves.toBe('')
    expect(await zombiesOf(process.pid)).toEqual([])
  })

  it('tells what it said when it ends by itself', async () => {
    const program = supervise({ command: ['/bin/sh', '-c', 'echo one; echo two >&2; exit 3'] })
    const said = await program.ended
    expect(said).toContain('one\n')
    expect(said).toContain('two\n')
    const missing = supervise({ command: ['/no/such/program'] })
    expect(await missing.ended).toMatch(/not found|no such/i)
  })
})
