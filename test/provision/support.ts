import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A directory that goes away with the test. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'switchback-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** A machine as provisioning sees it: a PATH with nothing on it but what the test puts there. */
export async function fakeMachine(): Promise<FakeMachine> {
  const root = await temporaryDirectory()
  const bin = join(root, 'bin')
  await mkdir(bin)
  const put = async (name: string, script: string): Promise<string> => {
    const path = join(bin, name)
    await writeFile(path, `#!/bin/sh\n${script}\n`)
    await chmod(path, 0o755)
    return path
  }
  return {
    bin,
    root,
    env: { PATH: bin },
    policyFile: join(root, 'policy-rc.d'),
    put,
    link: (name, target) => symlink(target, join(bin, name)),
    log: async () => {
      const text = await readFile(join(root, 'log'), 'utf8').catch(() => '')
      return text.split('\n').filter((line) => line !== '')
    },
  }
}

export interface FakeMachine {
  readonly bin: string
  readonly root: string
  readonly env: Readonly<Record<string, string>>
  readonly policyFile: string
  put(name: string, script: string): Promise<string>
  link(name: string, target: string): Promise<void>
  /** Lines that the fake programs wrote to `$root/log`. */
  log(): Promise<string[]>
}

export { until } from '../support/until.ts'

/** Whether a process of this id is there (a zombie is not). */
export async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat !== '' && !/\) Z /.test(stat)
}

/** Ids of the zombies among our own children. */
export async function zombiesOf(parent: number): Promise<string[]> {
  const children = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8')
  const zombies: string[] = []
  for (const child of children.split(' ').filter((pid) => pid !== '')) {
    const stat = await readFile(`/proc/${child}/stat`, 'utf8').catch(() => '')
    if (/\) Z /.test(stat)) zombies.push(child)
  }
  return zombies
}
