import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { changeShare, readHistory } from '../../src/rollout/index.ts'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import { runCommand } from '../support/run-command.ts'

/** A file that a command has set to 50 %, and an editor of it. */
async function place() {
  const cwd = await temporaryDirectory()
  await mkdir(join(cwd, 'flags'))
  const file = join(cwd, 'flags', 'use-redis.json')
  await writeFile(file, usual)
  const by = { who: 'ann@test', via: 'cli' }
  await changeShare({ file, flag: 'use-redis', by, percent: 50, flagd: false })
  const edit = async (from: string, to: string): Promise<void> => {
    await writeFile(`${file}.new`, (await readFile(file, 'utf8')).replace(from, to))
    await rename(`${file}.new`, file)
  }
  const run = (...argv: string[]) =>
    runCommand(argv[0] === 'history' ? argv : [...argv, '--no-flagd'], { cwd })
  return { file, edit, run }
}

it('status and history tell an edit by hand before anybody has written it down', async () => {
  const { file, edit, run } = await place()
  expect((await run('status')).stdout).not.toContain('by hand')
  await edit('["on", 50], ["off", 50]', '["on", 70], ["off", 30]')
  const status = await run('status')
  expect(status.code).toBe(0)
  expect(status.stdout).toMatch(/since +by hand: 50 % -> 70 %; no command made this change/)
  expect(JSON.parse((await run('status', '--json')).stdout)).toMatchObject({
    last: { action: 'set', to: 50 },
    outside: { action: 'outside', from: 50, to: 70 },
  })
  const history = await run('history')
  expect(history.stdout).toMatch(/unknown +outside +by hand: 50 % -> 70 % +not yet written/)
  expect(JSON.parse((await run('history', '--json')).stdout)).toMatchObject({
    entries: [{ action: 'outside', from: 50, to: 70, unwritten: true }, { action: 'set' }],
  })
  expect((await readHistory(file)).map(({ action }) => action)).toEqual(['set'])
})

it('watch writes it down, status and history warn of users who should have stayed, undo takes it back', async () => {
  const { file, edit, run } = await place()
  await edit('["on", 50], ["off", 50]', '["off", 50], ["on", 50]')
  const looks = ['watch', '--count', '1', '--interval', '0.01', '--json']
  const seen = JSON.parse((await run(...looks)).stdout) as { last: { warning: string } }
  expect(seen.last).toMatchObject({ action: 'outside', from: 50, to: 50 })
  expect(seen.last.warning).toMatch(/line 8: the order of the entries changed/)
  expect((await readHistory(file)).map(({ action }) => action)).toEqual(['set', 'outside'])
  expect((await run('status')).stdout).toMatch(/last +by hand: still 50 %; of .* left the new side/)
  expect((await run('history')).stdout).toMatch(/by hand: still 50 %; of .* left the new side/)
  expect((await run('undo', '--yes')).code).toBe(0)
  expect(await readFile(file, 'utf8')).toContain('[["on", 50], ["off", 50]]')
})

it.each([
  ['another flag', '"use-redis": {', '"other": 5, "use-redis": {'],
  ['the flag itself', '"state": "ENABLED"', '"state": 5'],
])('status does not call a file fine that flagd refuses for %s', async (_, from, to) => {
  const { edit, run } = await place()
  await edit(from, to)
  const { code, stdout } = await run('status')
  expect(code).toBe(1)
  expect(stdout).toMatch(/refused +line \d+, .*; flagd and the processes keep the last good flags/)
  expect(JSON.parse((await run('status', '--json')).stdout)).toMatchObject({
    ok: false,
    refused: { rejected: true },
  })
})
