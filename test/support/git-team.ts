import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
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

const CONFIG = `[user]
  name = ann
  email = ann@test
[gc]
  auto = 0
[maintenance]
  auto = false
[receive]
  autogc = false
[core]
  fsync = none
`

function gitAt(root: string): { readonly env: Record<string, string>; readonly git: Team['git'] } {
  const env = {
    GIT_CONFIG_GLOBAL: join(root, 'gitconfig'),
    GIT_CONFIG_SYSTEM: '/dev/null',
    HOME: root,
    PATH: process.env['PATH']!,
  }
  const git: Team['git'] = (args, where = join(root, 'here')) =>
    execFileSync('git', args.split(' '), { cwd: where, env, stdio: 'pipe' }).toString()
  return { env, git }
}

/** Made once and copied: it takes eight processes. The clones name their remote by a path beside them. */
async function makeTeam(): Promise<string> {
  const root = mkdtempSync(join(tmpdir(), 'switchback-git-'))
  process.once('exit', () => rmSync(root, { recursive: true, force: true }))
  await writeFile(join(root, 'gitconfig'), CONFIG)
  const { git } = gitAt(root)
  const here = join(root, 'here')
  git('init -q --bare -b main origin.git', root)
  git('clone -q origin.git here', root)
  await mkdir(join(here, 'flags'))
  await writeFile(join(here, 'flags', 'use-redis.json'), usual)
  await writeFile(join(here, 'other.txt'), 'a\n')
  git('add .')
  git('commit -q -m first')
  git('push -q -u origin HEAD:main')
  git('clone -q origin.git there', root)
  for (const clone of ['here', 'there']) {
    git('remote set-url origin ../origin.git', join(root, clone))
  }
  return root
}

let made: Promise<string> | undefined

/** A repository with a remote, and a clone of somebody else. */
export async function gitTeam({
  remote = true,
}: { readonly remote?: boolean } = {}): Promise<Team> {
  made ??= makeTeam()
  const root = await temporaryDirectory()
  await cp(await made, root, { recursive: true })
  const { env: identity, git } = gitAt(root)
  const here = join(root, 'here')
  const file = join(here, 'flags', 'use-redis.json')
  if (!remote) git('remote remove origin')
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
