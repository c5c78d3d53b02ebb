import { execFileSync, spawnSync } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { main } from '../../src/cli/index.ts'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import { gitTeam } from '../support/git-team.ts'

/** @param directory the working tree, or with `inside` `''` the repository itself */
function hook(directory: string, name: string, script: string, inside = '.git'): Promise<void> {
  const file = join(directory, inside, 'hooks', name)
  return writeFile(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
}

it('a change is a pushed commit of the flags file alone, with its history in the message', async () => {
  const { file, git, run, json } = await gitTeam()
  await writeFile(join(file, '..', '..', 'other.txt'), 'unfinished\n')
  git('add other.txt')
  const set = await run(['set', '25', '--yes', '--reason', 'first step'])
  expect([set.code, set.stderr]).toEqual([0, ''])
  expect(set.stdout).toMatch(/pushed as [0-9a-f]{9} to origin\/main; this is slow: .* has synced/)
  expect(git('rev-parse HEAD')).toBe(git('rev-parse origin/main'))
  expect(git('show --name-only --format=%s HEAD').trim().split('\n')).toEqual([
    'use-redis: 10 % -> 25 % (switchback set)',
    '',
    'flags/use-redis.json',
  ])
  expect(git('log -1 --format=%B')).toContain('first step')
  // What was under way stays as it was, and the file is as committed.
  expect(git('status --porcelain')).toBe('M  other.txt\n')
  expect(await readFile(file, 'utf8')).toContain('["on", 25], ["off", 75]')
  expect(await json(['status'])).toMatchObject({ share: 25, last: { reason: 'first step' } })
  expect(await json(['rollback'])).toMatchObject({ ok: true, from: 25, to: 0, written: true })
  expect(await json(['undo', '--yes'])).toMatchObject({ to: 25 })
  // What the hands are used to is no error.
  expect(await json(['rollback', '--yes'])).toMatchObject({ ok: true, to: 0 })
  await json(['undo', '--yes'])
  const { entries } = await json(['history'])
  expect(entries.map(({ action }: { action: string }) => action)).toEqual([
    'undo',
    'rollback',
    'undo',
    'rollback',
    'set',
  ])
  // Nothing is committed that changes nothing.
  const head = git('rev-parse HEAD')
  expect(await json(['set', '25', '--yes'])).toMatchObject({ ok: true, written: false })
  expect(git('rev-parse HEAD')).toBe(head)
})

it('sees a commit by hand, and undoes it', async () => {
  const { file, git, run, json } = await gitTeam()
  await json(['set', '25', '--yes'])
  await writeFile(file, usual.replace('10], ["off", 90]', '70], ["off", 30]'))
  git('commit -q -a -m hand')
  git('push -q')
  expect((await run(['status'])).stdout).toContain('by hand: 25 % -> 70 %')
  expect(await json(['undo', '--yes'])).toMatchObject({ from: 70, to: 25 })
  const { entries } = await json(['history'])
  expect(entries.map(({ action }: { action: string }) => action)).toEqual([
    'undo',
    'outside',
    'set',
  ])
})

it('the text that a rollback disabled for its rule is not what a later one restores', async () => {
  const { file, git, json } = await gitTeam()
  await json(['set', '40', '--yes'])
  const good = await readFile(file, 'utf8')
  await writeFile(file, good.replace('["on", 40]', '["onn", 40]'))
  git('commit -q -a -m hand')
  git('push -q')
  expect(await json(['rollback'])).toMatchObject({ ok: true, action: 'disable' })
  await writeFile(file, '{ "flags": ')
  git('commit -q -a -m syntax')
  git('push -q')
  expect(await json(['rollback', '--restore'])).toMatchObject({ ok: true, action: 'restore' })
  expect(await readFile(file, 'utf8')).toBe(good.replace('40], ["off", 60]', '0], ["off", 100]'))
})

it('refuses where something else would go along, and changes nothing', async () => {
  const { file, git, run, push } = await gitTeam()
  const refused = async (why: string, remedy: string): Promise<void> => {
    const [head, text] = [git('rev-parse HEAD'), await readFile(file, 'utf8')]
    const { code, stderr } = await run(['rollback'])
    expect([code, stderr]).toEqual([1, expect.stringContaining(why)])
    expect(stderr).toContain(remedy)
    expect([git('rev-parse HEAD'), await readFile(file, 'utf8')]).toEqual([head, text])
  }
  await writeFile(file, usual.replace('10], ["off", 90]', '11], ["off", 89]'))
  await refused('has changes that are not committed', 'git restore')
  git('checkout -q -- flags')
  await push('other.txt', 'theirs\n')
  await writeFile(join(file, '..', 'more.json'), '{}')
  git('add .')
  git('commit -q -m mine')
  await refused('have diverged: 1 commit here, 1 there', 'git pull --rebase')
  git('pull -q --rebase')
  await refused('1 commit not pushed yet', 'git push')
  git('push -q')
  git('checkout -q --detach')
  await refused('no branch is checked out', 'git switch')
})

it('a rollback in a clone that is merely behind catches up by itself', async () => {
  const { here, file, git, run, push } = await gitTeam()
  await push('flags/use-redis.json', usual.replace('10], ["off", 90]', '50], ["off", 50]'))
  // What is under way in other files stays.
  await writeFile(join(here, 'other.txt'), 'unfinished\n')
  const { code, stdout, stderr } = await run(['rollback'])
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/50 % -> 0 %/)
  expect(git('show origin/main:flags/use-redis.json')).toContain('["on", 0], ["off", 100]')
  expect(git('rev-parse HEAD')).toBe(git('rev-parse origin/main'))
  expect(await readFile(file, 'utf8')).toContain('["on", 0], ["off", 100]')
  expect(git('status --porcelain')).toBe(' M other.txt\n')
  // So does whoever writes what a person has confirmed, where nothing of it changed.
  await push('flags/use-redis.json', usual)
  expect((await run(['set', '25', '--yes'])).code).toBe(0)
  expect(git('show origin/main:flags/use-redis.json')).toContain('["on", 25]')
})

const ours = usual.replace('10], ["off", 90]', '11], ["off", 89]')
const theirs = usual.replace('10], ["off", 90]', '50], ["off", 50]')

const REFUSALS: readonly (readonly [string, string, RegExp])[] = [
  [
    'a rebase',
    'git commit -qam mine; git pull -q --rebase',
    /a git rebase is in progress in this clone, with conflicts in ".*use-redis.json"\n.*git rebase --continue.*git rebase --abort/,
  ],
  [
    'a merge',
    'git commit -qam mine; git pull -q --no-rebase',
    /a git merge is in progress in this clone, with conflicts in .*\n.*git merge --abort/,
  ],
  [
    'a merge of other files',
    'git restore flags; git switch -qc side; echo b > other.txt; git commit -qam b; git switch -q main; echo c > other.txt; git commit -qam c; git merge -q side',
    /a git merge is in progress in this clone\n/,
  ],
  [
    'conflict markers alone',
    'git stash -q; git pull -q; git stash pop',
    /use-redis.json" has conflict markers \(line 8\) that are not committed\n.*git restore --source=HEAD --staged --worktree \S+use-redis.json/,
  ],
  [
    'other files that the fast-forward would overwrite',
    'git restore flags; echo unfinished > other.txt; cd ../there; echo theirs > other.txt; git commit -qam o; git push -q',
    /"main" is 2 commits behind origin\/main and cannot be fast-forwarded: .*other\.txt\n.*git pull/,
  ],
  ['no network', 'mv ../origin.git ../gone', /git fetch failed: .*\n.*run git fetch in this clone/],
]

it('a rollback refuses what needs a person, names it and the remedy, and changes nothing', async () => {
  const { here, file, git, run, push, env } = await gitTeam()
  const first = git('rev-parse HEAD').trim()
  await push('flags/use-redis.json', theirs)
  for (const [what, script, why] of REFUSALS) {
    const clean = `git merge --abort; git rebase --abort; git reset -q --hard ${first}`
    spawnSync('sh', ['-c', clean], { cwd: here, env, stdio: 'ignore' })
    await writeFile(file, ours)
    spawnSync('sh', ['-c', script], { cwd: here, env, stdio: 'ignore' })
    const state = async () => [
      git('rev-parse HEAD'),
      await readFile(file, 'utf8'),
      git('status -s'),
    ]
    const before = await state()
    const { code, stdout, stderr } = await run(['rollback'])
    expect([what, code, stdout, stderr]).toEqual([what, 1, '', expect.stringMatching(why)])
    expect([what, stderr]).toEqual([what, expect.stringContaining('nothing was written; ')])
    expect([what, ...(await state())]).toEqual([what, ...before])
  }
})

it('a file that says so already counts only when the remote has it too', async () => {
  const { file, git, run, json, push } = await gitTeam()
  await json(['rollback'])
  const back = await readFile(file, 'utf8')
  // What nobody else has: a clone that is behind. Status says so, and a rollback goes and makes it.
  await push('flags/use-redis.json', usual)
  const status = await run(['status'])
  expect([status.code, status.stdout]).toEqual([1, expect.stringContaining('run git pull')])
  expect(status.stdout).toMatch(/stale .*: "main" is 1 commit behind origin\/main \(run git pull, /)
  expect(await json(['rollback'])).toMatchObject({ ok: true, from: 10, to: 0, written: true })
  expect(git('show origin/main:flags/use-redis.json')).toContain('["on", 0]')
  // Then an edit that is not committed.
  await push('flags/use-redis.json', usual)
  await writeFile(file, `${back}\n`)
  const dirty = await run(['rollback'])
  expect([dirty.code, dirty.stdout]).toEqual([1, ''])
  expect(dirty.stderr).toMatch(/changes that are not committed\n.*git restore/)
  expect((await json(['status']))['stale']).toMatch(/not committed \(commit them/)
  git('checkout -q -- flags')
  expect(await json(['rollback'])).toMatchObject({ ok: true, from: 10, written: true })
  // Commits of other files do not matter: the remote is back.
  await push('other.txt', 'theirs\n')
  expect(await json(['rollback'])).toMatchObject({ ok: true, to: 0, written: false })
  expect((await json(['status']))['stale']).toBeUndefined()
})

it.each([
  ['another git holds the index', 'touch .git/index.lock', 'rm .git/index.lock', /index\.lock/],
  [
    'the file cannot be replaced',
    'rm flags/use-redis.json; mkdir -p flags/use-redis.json/x',
    'rm -r flags; git checkout -q -- flags',
    /directory/,
  ],
])('what is pushed is told as made, although %s', async (_, meanwhile, mend, cause) => {
  const { here, file, git, run } = await gitTeam()
  await hook(here, 'pre-push', meanwhile)
  const { code, stdout, stderr } = await run(['rollback'])
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(
    /pushed as [0-9a-f]{9} to origin\/main.* does not have it yet, so run git pull/,
  )
  expect(stdout).toMatch(cause)
  expect(git('show origin/main:flags/use-redis.json')).toContain('["on", 0], ["off", 100]')
  execFileSync('sh', ['-c', mend], { cwd: here })
  git('pull -q')
  expect([git('status --porcelain'), git('rev-parse HEAD')]).toEqual([
    '',
    git('rev-parse origin/main'),
  ])
  expect(await readFile(file, 'utf8')).toContain('["on", 0], ["off", 100]')
})

it.each([
  [
    'of the server',
    '../origin.git',
    'pre-receive',
    '[remote rejected] (pre-receive hook declined)',
  ],
  ['before the push', '.git', 'pre-push', 'cannot push'],
])('a refusing hook %s is told in its own words, and asked once', async (_, where, name, also) => {
  const { here, file, git, run } = await gitTeam()
  const asked = join(here, '..', 'asked')
  const words = 'Push rejected: cannot lock ref, key needed'
  await hook(join(here, where), name, `echo x >> ${asked}; echo "${words}" >&2; exit 1`, '')
  const head = git('rev-parse HEAD')
  const { code, stderr } = await run(['rollback'])
  expect([code, stderr]).toEqual([1, expect.stringContaining(words)])
  expect(stderr).toContain(also)
  expect(stderr).toContain('nothing was written; check')
  expect(await readFile(asked, 'utf8')).toBe('x\n')
  expect([git('rev-parse HEAD'), await readFile(file, 'utf8')]).toEqual([head, usual])
})

it('of two who push at the same time one is told, and has written nothing', async () => {
  const { here, file, git, run } = await gitTeam()
  const theirs = `unset GIT_DIR; cd ${join(here, '..', 'there')}; git pull -q; git commit -q --allow-empty -m x; git push -q`
  const lost = async (argv: readonly string[], why: string): Promise<void> => {
    const head = git('rev-parse HEAD')
    const { code, stderr } = await run(argv)
    expect([code, stderr]).toEqual([1, expect.stringContaining(why)])
    expect(stderr).toContain('nothing was written; run git pull')
    expect([git('rev-parse HEAD'), await readFile(file, 'utf8')]).toEqual([head, usual])
    expect(git('status --porcelain')).toBe('')
    git('pull -q')
  }
  // While our push is under way.
  await hook(here, 'pre-push', theirs)
  await lost(
    ['set', '25', '--yes'],
    'somebody pushed to origin at the same moment: cannot lock ref',
  )
  // A rollback starts over from what they pushed, a few times.
  const { code, stderr: told } = await run(['rollback'])
  expect([code, told]).toEqual([1, expect.stringContaining('at the same moment')])
  expect([await readFile(file, 'utf8'), git('status --porcelain')]).toEqual([usual, ''])
  await rm(join(here, '.git', 'hooks', 'pre-push'))
  // Between our fetch and our push.
  const fetched = join(here, '..', 'fetched.sh')
  await writeFile(fetched, `git-upload-pack "$@"; ${theirs}\n`)
  git(`config remote.origin.uploadpack sh\t${fetched}`)
  const { stderr } = await run(['set', '25', '--yes'])
  expect(stderr).toContain('somebody pushed to origin meanwhile\n')
})

it('a lock that is left at the remote is not tried for ever', async () => {
  const { here, run, git } = await gitTeam()
  const asked = join(here, '..', 'asked')
  await hook(here, 'pre-push', `echo x >> ${asked}`)
  await writeFile(join(here, '..', 'origin.git', 'refs', 'heads', 'main.lock'), '')
  const head = git('rev-parse HEAD')
  const { code, stderr } = await run(['rollback'])
  expect([code, stderr]).toEqual([1, expect.stringContaining('cannot lock ref')])
  expect((await readFile(asked, 'utf8')).length / 2).toBeLessThanOrEqual(5)
  expect(git('rev-parse HEAD')).toBe(head)
})

it('without a remote it commits, and says that nobody else has it', async () => {
  const { run, git } = await gitTeam({ remote: false })
  const { stdout } = await run(['set', '25', '--yes'])
  expect(stdout).toContain('the branch has no remote, so nobody else has it')
  expect(git('status --porcelain')).toBe('')
})

it('a file that is not in a repository is bad input', async () => {
  const directory = await temporaryDirectory()
  const file = join(directory, 'use-redis.json')
  await writeFile(file, usual)
  let told = ''
  const code = await main({
    argv: ['status', '--target', `git:${file}`],
    env: { PATH: process.env['PATH'], HOME: directory },
    stdin: Readable.from([]),
    stdout: { write() {} },
    stderr: { write: (text) => void (told += text) },
    signal: new AbortController().signal,
  })
  expect([code, told]).toEqual([2, expect.stringContaining('is not in a Git repository')])
})
