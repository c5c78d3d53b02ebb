import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import { jsonOf, runCommand } from '../support/run-command.ts'

const text = usual.replace('"on": true, "off": false', '"on": "true", "off": "false"')
const words = 'the variants of flag "use-redis" are not true and false ("on = \\"true\\""'

it('variants that are text: nobody could move, so validate, doctor, preview, set and pilot say so', async () => {
  const cwd = await temporaryDirectory()
  await mkdir(join(cwd, 'flags'))
  const file = join(cwd, 'flags', 'use-redis.json')
  await writeFile(file, text)
  const run = (...argv: string[]) => runCommand(argv, { cwd })
  const checked = await run('validate')
  expect([checked.code, checked.stdout]).toEqual([1, expect.stringContaining(words)])
  expect((await run('validate', '--flag', 'other')).code).toBe(0)
  const doctor = await run('doctor', '--no-flagd')
  expect([doctor.code, doctor.stdout]).toEqual([1, expect.stringContaining(words)])
  const pilot = ['pilot', '--attribute', 'plan', '--in', 'internal', '--yes']
  for (const argv of [['set', '25', '--yes'], pilot, ['preview', '25']]) {
    const { code, stderr } = await run(...argv, ...(argv[0] === 'preview' ? [] : ['--no-flagd']))
    expect([argv[0], code, stderr]).toEqual([argv[0], 1, expect.stringContaining(words)])
  }
  expect(await readFile(file, 'utf8')).toBe(text)
  // What looks only names it as well, and still prints what it can.
  const status = await run('status', '--no-flagd')
  expect([status.code, status.stdout]).toEqual([1, expect.stringContaining(words)])
  expect(status.stdout).toContain('(on 10 : off 90)')
  expect(status.stdout).not.toContain('10 % of users get')
  const looks = ['--no-flagd', '--json', '--count', '1', '--interval', '0.001']
  for (const argv of [
    ['status', '--no-flagd', '--json'],
    ['watch', ...looks],
  ]) {
    const problem = { code: 'SB_VARIANTS_NOT_BOOLEAN', hint: expect.stringContaining('true') }
    expect(await jsonOf(run(...argv))).toMatchObject({ ok: false, share: 10, problem })
  }
  expect((await run('watch', ...looks.filter((each) => each !== '--json'))).stdout).toContain(words)
  // The way back is never refused. A split of 0 would leave those on the new side who are known there.
  const printed = await jsonOf(run('rollback', '--no-flagd', '--print', '--json'))
  expect(JSON.stringify(printed)).toContain('DISABLED')
  const back = await run('rollback', '--no-flagd')
  expect([back.code, back.stdout]).toEqual([0, expect.stringContaining(words)])
  expect(back.stdout).toMatch(/disabled +the flag is disabled, since .* an undo enables it again/s)
  expect(await readFile(file, 'utf8')).toBe(text.replace('ENABLED', 'DISABLED'))
  const again = await run('rollback', '--no-flagd')
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('already taken back')])
  expect((await run('undo', '--no-flagd', '--yes')).code).toBe(0)
  expect(await readFile(file, 'utf8')).toBe(text)
  expect(await jsonOf(run('rollback', '--no-flagd', '--json'))).toMatchObject({
    ok: true,
    action: 'disable',
    to: 0,
    because: expect.stringContaining('TYPE_MISMATCH'),
  })
})
