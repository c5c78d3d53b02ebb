import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  apply,
  type ApplyStep,
  changeBack,
  changeShare,
  changeUndo,
  currentShare,
  historyFile,
  loadFlags,
  readFlags,
  readHistory,
  setShare,
} from '../../src/rollout/index.ts'
import { flagsFile, onWeight, runChild, temporaryDirectory, usual } from './support.ts'
import { inFull } from '../support/full.ts'

const flag = 'use-redis'
const by = { who: 'test', via: 'test' }

async function set(file: string, percent: number): Promise<void> {
  await apply(setShare(await loadFlags(file), { flag, percent }), { file, by })
}

describe('apply', () => {
  it('replaces the file, keeps its mode, and makes it newer', async () => {
    const file = await flagsFile()
    await chmod(file, 0o640)
    const old = await stat(file)
    await set(file, 25)
    const now = await stat(file)
    expect(await readFile(file, 'utf8')).toBe(
      usual.replace('["on", 10], ["off", 90]', '["on", 25], ["off", 75]'),
    )
    expect(now.ino).not.toBe(old.ino)
    expect(now.mode).toBe(old.mode)
    expect(now.mtimeMs).toBeGreaterThan(old.mtimeMs)
    expect(now.mtimeMs).toBeLessThanOrEqual(Date.now() + 5)
  })

  it('is newer than a file from the future, by little', async () => {
    const file = await flagsFile()
    const future = Date.now() + 3_600_000
    await utimes(file, new Date(future), new Date(future))
    for (const percent of [25, 30]) {
      const old = (await stat(file)).mtimeMs
      await set(file, percent)
      expect((await stat(file)).mtimeMs).toBeGreaterThan(old)
    }
    expect((await stat(file)).mtimeMs).toBeLessThan(future + 10_000)
  })

  it('is newer than a file of this very moment, edit after edit', async () => {
    const file = await flagsFile()
    for (let percent = 11; percent < 31; percent++) {
      const old = (await stat(file)).mtimeMs
      await set(file, percent)
      expect((await stat(file)).mtimeMs).toBeGreaterThan(old)
    }
  })

  it.runIf(process.getuid?.() === 0)('keeps the owner', async () => {
    const file = await flagsFile()
    await chown(file, 65_532, 65_532)
    await set(file, 25)
    const { uid, gid } = await stat(file)
    expect([uid, gid]).toEqual([65_532, 65_532])
  })

  it.runIf(process.getuid?.() === 0)(
    'refuses rather than leave a file that flagd’s user cannot read',
    async () => {
      const file = await flagsFile()
      await chmod(dirname(file), 0o777)
      await chmod(file, 0o660)
      await chown(file, 65_532, 12_345)
      const edit = `
        const file = process.argv[1]
        try {
          const edit = rollout.setShare(await rollout.loadFlags(file), { flag: 'use-redis', percent: 25 })
          await rollout.apply(edit, { file, by: { who: 'x', via: 'y' } })
        } catch (error) { console.log(error.code) }`
      const other = ['setpriv', '--reuid=1234', '--regid=12345', '--clear-groups', process.execPath]
      const { stdout } = await runChild(edit, [file], other)
      expect(stdout.trim()).toBe('SB_FILE_READ_ONLY')
      expect(await onWeight(file)).toBe(10)
      expect(await readdir(dirname(file))).toEqual([basename(file)])
    },
  )

  it.runIf(process.getuid?.() === 0)('explains a directory that it may not write to', async () => {
    const file = await flagsFile()
    await chmod(dirname(file), 0o755)
    const edit = `
      const file = process.argv[1]
      const edit = rollout.setShare(await rollout.loadFlags(file), { flag: 'use-redis', percent: 25 })
      await rollout.apply(edit, { file, by: { who: 'x', via: 'y' } }).catch((error) => console.log(error.code, error.hint))`
    const other = ['setpriv', '--reuid=1234', '--regid=12345', '--clear-groups', process.execPath]
    const { stdout } = await runChild(edit, [file], other)
    expect(stdout).toMatch(/^SB_FILE_READ_ONLY edit it where it comes from \(--print/)
  })

  it('follows a symbolic link and leaves it a link', async () => {
    const file = await flagsFile()
    const link = join(await temporaryDirectory(), 'link.json')
    await symlink(file, link)
    await set(link, 25)
    expect((await lstat(link)).isSymbolicLink()).toBe(true)
    expect(await onWeight(file)).toBe(25)
    expect(await readHistory(file)).toHaveLength(1)
  })

  it('recognises a ConfigMap and tells to edit its source', async () => {
    const directory = await temporaryDirectory()
    await mkdir(join(directory, '..2026_11_22'))
    await writeFile(join(directory, '..2026_11_22', 'use-redis.json'), usual)
    await symlink('..2026_11_22', join(directory, '..data'))
    const file = join(directory, 'use-redis.json')
    await symlink('..data/use-redis.json', file)
    await expect(set(file, 25)).rejects.toMatchObject({
      code: 'SB_FILE_READ_ONLY',
      message: expect.stringContaining('ConfigMap'),
      hint: expect.stringContaining('--print'),
    })
    expect(await onWeight(file)).toBe(10)
  })

  it.for(['another', 'the same'])(
    'recognises a file that is mounted from %s file system',
    async (from, { skip }) => {
      const file = await flagsFile()
      const other = await flagsFile()
      try {
        if (from === 'another') mount('-t', 'tmpfs', 'tmpfs', dirname(other))
        if (from === 'another') await writeFile(other, usual)
        mount('--bind', other, file)
      } catch {
        skip('only root of the machine may mount')
      }
      await expect(set(file, 25)).rejects.toMatchObject({
        code: 'SB_FILE_READ_ONLY',
        message: expect.stringContaining('mounted as a single file'),
      })
      expect(await onWeight(file)).toBe(10)
    },
  )

  it('refuses when the file was changed since it was read, and loses nothing', async () => {
    const file = await flagsFile()
    const edit = setShare(await loadFlags(file), { flag, percent: 25 })
    await set(file, 50)
    await expect(apply(edit, { file, by })).rejects.toMatchObject({ code: 'SB_FLAGS_CHANGED' })
    expect(await onWeight(file)).toBe(50)
    expect((await readdir(dirname(file))).sort()).toEqual([
      'use-redis.history.jsonl',
      'use-redis.json',
    ])
  })

  it('refuses what flagd would not take', async () => {
    const broken = usual.replace(
      '"flags": {',
      '"flags": {\n    "x": {"state":"ENABLED","variants":{"a":1},"defaultVariant":"b"},',
    )
    const file = await flagsFile(broken)
    await expect(set(file, 25)).rejects.toMatchObject({
      code: 'SB_FLAGS_REFUSED',
      message: expect.stringContaining('line 4'),
    })
    expect(await readFile(file, 'utf8')).toBe(broken)
  })

  it('lets faults of other flags stand that were there before', async () => {
    const file = await flagsFile(
      usual.replace(
        '"flags": {',
        '"flags": {\n    "x": {"state":"ENABLED","variants":{"a":1},"targeting":{"fractional":[["a",0]]}},',
      ),
    )
    await set(file, 25)
    expect(await onWeight(file)).toBe(25)
  })

  it('refuses files that are not UTF-8 or not there', async () => {
    const file = await flagsFile()
    await writeFile(file, Buffer.concat([Buffer.from(usual), Buffer.from([0xff])]))
    await expect(loadFlags(file)).rejects.toMatchObject({ code: 'SB_FLAGS_SYNTAX' })
    await expect(loadFlags(`${file}.nix`)).rejects.toMatchObject({ code: 'SB_FILE_MISSING' })
  })
})

/** Mounts until the test is over. */
function mount(...args: readonly string[]): void {
  execFileSync('mount', args, { stdio: 'ignore' })
  onTestFinished(() => void execFileSync('umount', [args.at(-1) ?? '']))
}

const steps: readonly (readonly [ApplyStep, 'old' | 'new'])[] = [
  ['temp', 'old'],
  ['write', 'old'],
  ['sync', 'old'],
  ['lock', 'old'],
  ['compare', 'old'],
  ['rename', 'old'],
  ['history', 'new'],
  ['unlock', 'new'],
  ['done', 'new'],
]

const dieAt = `
  const [file, step] = process.argv.slice(1)
  const edit = rollout.setShare(await rollout.loadFlags(file), { flag: 'use-redis', percent: 25 })
  await rollout.apply(edit, { file, by: { who: 'x', via: 'y' }, onStep(at) {
    if (at === step) process.kill(process.pid, 'SIGKILL')
  } })`

/** A rollback that ends where it would open the history to write its line. */
const dieBeforeHistory = `
  import fs from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  const { open } = fs.promises
  fs.promises.open = (path, ...more) => {
    if (String(path).endsWith('.jsonl') && more[0] === 'a+') process.kill(process.pid, 'SIGKILL')
    return open(path, ...more)
  }
  syncBuiltinESMExports()
  const [file] = process.argv.slice(1)
  await rollout.changeBack({ file, flag: 'use-redis', by: { who: 'x', via: 'y' }, flagd: false })`

describe('a writer that is killed', () => {
  it.each(steps)(
    'before %s leaves the %s file, and the next edit goes through',
    async (step, left) => {
      const file = await flagsFile()
      const { signal } = await runChild(dieAt, [file, step])
      expect(signal).toBe('SIGKILL')
      expect(await onWeight(file)).toBe(left === 'old' ? 10 : 25)
      await set(file, 50)
      expect(await onWeight(file)).toBe(50)
      expect((await readdir(dirname(file))).sort()).toEqual([
        'use-redis.history.jsonl',
        'use-redis.json',
      ])
      const history = await readHistory(file)
      expect(history.at(-1)).toMatchObject({ action: 'set', to: 50 })
    },
  )

  it.each([
    ['the first edit ever', []],
    ['one of many edits', [30, 10]],
  ])('right after the write of %s loses no way back: it can be undone', async (_, earlier) => {
    const file = await flagsFile()
    for (const percent of earlier) await changeShare({ file, flag, by, flagd: false, percent })
    const before = await readFile(file, 'utf8')
    const { signal } = await runChild(dieBeforeHistory, [file])
    expect([signal, await onWeight(file)]).toEqual(['SIGKILL', 0])
    const { edit } = await changeUndo({ file, flag, by, flagd: false })
    expect(edit).toMatchObject({ from: 0, to: 10 })
    expect(await readFile(file, 'utf8')).toBe(before)
    expect((await readHistory(file)).slice(-2).map(({ action }) => action)).toEqual([
      'outside',
      'undo',
    ])
  })

  it('at any moment leaves a whole file', async () => {
    const file = await flagsFile()
    const loop = `
      const file = process.argv[1]
      console.log('ready')
      for (let percent = 0; ; percent = (percent + 1) % 100) {
        const edit = rollout.setShare(await rollout.loadFlags(file), { flag: 'use-redis', percent })
        if (edit.changes.length > 0) await rollout.apply(edit, { file, by: { who: 'x', via: 'y' } })
      }`
    for (let round = 0; round < 8; round++) {
      const source = `import * as rollout from ${JSON.stringify((await import('./support.ts')).builtRollout)}\n${loop}`
      const child = spawn(process.execPath, ['--input-type=module', '-e', source, file], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await once(child.stdout, 'data')
      const until = performance.now() + 10 + round * 9
      while (performance.now() < until) {
        // Another reader never sees a torn or empty file either.
        expect(currentShare(await loadFlags(file), flag)).toBeGreaterThanOrEqual(0)
      }
      child.kill('SIGKILL')
      await once(child, 'exit')
      expect(await onWeight(file)).toBeGreaterThanOrEqual(0)
    }
    await set(file, 12.5)
    expect((await readdir(dirname(file))).sort()).toEqual([
      'use-redis.history.jsonl',
      'use-redis.json',
    ])
    for (const line of (await readFile(historyFile(file), 'utf8')).trim().split('\n')) {
      if (!line.endsWith('}')) expect(line).not.toBe('')
    }
    expect((await readHistory(file)).at(-1)).toMatchObject({ to: 12.5 })
  })
})

describe('many editors at once', () => {
  it('several processes lose nothing', async () => {
    const flags = Array.from({ length: inFull(4, 8) }, (_, index) => `flag-${index}`)
    const definition = JSON.parse(usual).flags[flag]
    const file = await flagsFile(
      JSON.stringify(
        { flags: Object.fromEntries(flags.map((name) => [name, definition])) },
        null,
        2,
      ),
    )
    // Each first edits by itself until it wins, then insists twice.
    const editor = `
      const [file, flag] = process.argv.slice(1)
      const by = { who: flag, via: 'y' }
      let told = 0
      for (let done = false; !done; ) {
        const edit = rollout.setShare(await rollout.loadFlags(file), { flag, percent: 11 })
        try {
          await rollout.apply(edit, { file, by, timeoutMs: 20_000 })
          done = true
        } catch (error) {
          if (error.code !== 'SB_FLAGS_CHANGED') throw error
          told++
        }
      }
      for (const percent of [12, 13]) {
        await rollout.changeShare({ file, flag, by, percent, flagd: false, insist: true })
      }
      console.log(told)`
    const ended = await Promise.all(flags.map((name) => runChild(editor, [file, name])))
    expect(ended.map(({ stderr }) => stderr).join('')).toBe('')
    const document = await loadFlags(file)
    for (const name of flags) expect(currentShare(document, name)).toBe(13)
    const history = await readHistory(file)
    expect(history).toHaveLength(flags.length * 3)
    // Each edit was made of exactly what the one before it left.
    for (const [index, entry] of history.entries()) {
      if (index > 0) expect(entry.before).toBe(history[index - 1]?.after)
    }
    expect(history.at(-1)?.after).toBe(document.hash)
    // It was a real contest.
    expect(ended.reduce((sum, { stdout }) => sum + Number(stdout), 0)).toBeGreaterThan(0)
    expect((await readdir(dirname(file))).sort()).toEqual([
      'use-redis.history.jsonl',
      'use-redis.json',
      'use-redis.json.last-good',
    ])
  }, 180_000)

  it('one of two wins and the other is told', async () => {
    const file = await flagsFile()
    const document = await loadFlags(file)
    const results = await Promise.allSettled(
      [25, 50].map((percent) => apply(setShare(document, { flag, percent }), { file, by })),
    )
    const lost = results.filter(({ status }) => status === 'rejected')
    expect(lost).toHaveLength(1)
    expect(lost[0]).toMatchObject({ reason: { code: 'SB_FLAGS_CHANGED' } })
  })

  it('a rollback wins against people who keep editing', async () => {
    const file = await flagsFile()
    const stop = new AbortController()
    const busy = (async () => {
      for (let percent = 11; !stop.signal.aborted; percent = 11 + (percent % 80)) {
        await changeShare({ file, flag, by, percent, flagd: false, insist: true }).catch(() => {})
      }
    })()
    const { applied, edit } = await changeBack({ file, flag, by, flagd: false })
    stop.abort()
    await busy
    expect(edit.to).toBe(0)
    const mine = (await readHistory(file)).find(({ id }) => id === applied?.history.id)
    expect(mine).toMatchObject({ action: 'rollback', to: 0 })
  })

  it('waits for a living holder and not for a dead one', async () => {
    const file = await flagsFile()
    const holder = `
      const file = process.argv[1]
      const edit = rollout.setShare(await rollout.loadFlags(file), { flag: 'use-redis', percent: 25 })
      await rollout.apply(edit, { file, by: { who: 'x', via: 'y' }, onStep(at) {
        if (at === 'compare') { console.log('held'); for (;;) {} }
      } })`
    const { builtRollout } = await import('./support.ts')
    const source = `import * as rollout from ${JSON.stringify(builtRollout)}\n${holder}`
    const child = spawn(process.execPath, ['--input-type=module', '-e', source, file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    const edit = setShare(readFlags(usual), { flag, percent: 50 })
    await expect(apply(edit, { file, by, timeoutMs: 200 })).rejects.toMatchObject({
      code: 'SB_LOCK_BUSY',
    })
    const waiting = apply(edit, { file, by, timeoutMs: 10_000 })
    child.kill('SIGKILL')
    await waiting
    expect(await onWeight(file)).toBe(50)
  })
})

describe('history', () => {
  it('tells who changed what when, with both hashes and no names of users', async () => {
    const file = await flagsFile()
    const before = await loadFlags(file)
    await changeShare({
      file,
      flag,
      percent: 25,
      flagd: false,
      by: { who: 'ann', via: 'cli', reason: 'go' },
    })
    const [entry] = await readHistory(file)
    const after = await loadFlags(file)
    expect(entry).toMatchObject({
      who: 'ann',
      via: 'cli',
      reason: 'go',
      action: 'set',
      flag,
      from: 10,
      to: 25,
      before: before.hash,
      after: after.hash,
    })
    expect(Math.abs(Date.parse(entry?.at ?? '') - Date.now())).toBeLessThan(60_000)
    const { changePilot } = await import('../../src/rollout/index.ts')
    await changePilot({
      file,
      flag,
      by,
      flagd: false,
      attribute: 'email',
      values: ['ann@example.com'],
    })
    expect(await readFile(historyFile(file), 'utf8')).not.toContain('ann@example.com')
  })

  it('notes changes by others, and survives a torn line', async () => {
    const file = await flagsFile()
    await set(file, 25)
    const history = historyFile(file)
    const text = await readFile(history, 'utf8')
    await writeFile(history, `${text}{"version":1,"id":"torn","act`)
    // As an editor saves: another file renamed over it.
    await writeFile(`${file}.new`, usual)
    await rename(`${file}.new`, file)
    await set(file, 30)
    expect((await readHistory(file)).map(({ action, to }) => [action, to])).toEqual([
      ['set', 25],
      ['outside', undefined],
      ['set', 30],
    ])
  })

  it('does not stand in the way of an edit when it cannot be written', async () => {
    const file = await flagsFile()
    await mkdir(historyFile(file))
    const { applied } = await changeBack({ file, flag, by, flagd: false })
    expect(applied?.warning).toContain('history could not be written')
    expect(await onWeight(file)).toBe(0)
  })
})

describe('an editor of another machine or container', () => {
  const foreign = (file: string) =>
    join(dirname(file), `.${basename(file)}.lock-1-0123456789ab-1-1-cafe0000`)

  it('is waited for while its lock is fresh', async () => {
    const file = await flagsFile()
    await writeFile(foreign(file), '')
    const edit = setShare(await loadFlags(file), { flag, percent: 25 })
    await expect(apply(edit, { file, by, timeoutMs: 200 })).rejects.toMatchObject({
      code: 'SB_LOCK_BUSY',
    })
    expect(await onWeight(file)).toBe(10)
  })

  it('is taken for dead when its lock has not been touched for long', async () => {
    const file = await flagsFile()
    await writeFile(foreign(file), '')
    const old = new Date(Date.now() - 60_000)
    await utimes(foreign(file), old, old)
    await set(file, 25)
    expect((await readdir(dirname(file))).sort()).toEqual([
      'use-redis.history.jsonl',
      'use-redis.json',
    ])
  })
})
