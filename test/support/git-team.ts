import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import { type Ended, jsonOf, runCommand, type RunOptions } from './run-command.ts'

export interface Team {
  /** The clone, in which the commands run. */
  readonly here: string
  readonly file: string
  readonly env: Readonly<Record<string, string>>
  git(args: string, where?: string): string
  run(argv: readonly string[], options?: RunOptions): Promise<Ended>
  json(argv: readonly string[]): Promise<Record<string, any>>
  /** A colleague with a clone of their own pushes an edit of a file. */
  push(name: string, text: string): Promise<void>
}

/** A repository with a remote, and a clone of somebody else. */
export async function gitTeam({
  remote = true,
}: { readonly remote?: boolean } = {}): Promise<Team> {
  const root = await temporaryDirectory()
  const identity = {
    GIT_AUTHOR_NAME: 'ann',
    GIT_AUTHOR_EMAIL: 'ann@test',
    GIT_COMMITTER_NAME: 'ann',
    GIT_COMMITTER_EMAIL: 'ann@test',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_SYSTEM: '/dev/null',
    HOME: root,
    PATH: process.env['PATH']!,
  }
  const here = join(root, 'here')
  const git: Team['git'] = (args, where = here) =>
    execFileSync('git', args.split(' '), { cwd: where, env: identity, stdio: 'pipe' }).toString()
  git('init -q --bare -b main origin.git', root)
  git('clone -q origin.git here', root)
  await mkdir(join(here, 'flags'))
  const file = join(here, 'flags', 'use-redis.json')
  await writeFile(file, usual)
  await writeFile(join(here, 'other.txt'), 'a\n')
  git('add .')
  git('commit -q -m first')
  if (remote) git('push -q -u origin HEAD:main')
  else git('remote remove origin')
  if (remote) git('clone -q origin.git there', root)
  const env = { ...identity, SWITCHBACK_WHO: 'ann@test' }
  const run: Team['run'] = (argv, options = {}) =>
    runCommand([...argv, '--target', `git:${file}`], { env, ...options })
  return {
    here,
    file,
    env,
    git,
    run,
    json: (argv) => jsonOf(run([...argv, '--json'])),
    async push(name, text) {
      const there = join(root, 'there')
      git('pull -q', there)
      await writeFile(join(there, name), text)
      git('commit -q -a -m theirs', there)
      git('push -q', there)
    },
  }
}
