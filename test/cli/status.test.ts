import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { flagsFile, temporaryDirectory, usual } from '../rollout/support.ts'
import { fakeProcess, type FakeProcess, type FakeSays } from '../support/fake-process.ts'
import { startFlagd } from '../support/flagd.ts'
import { runCommand } from '../support/run-command.ts'

async function app(says: FakeSays): Promise<FakeProcess> {
  const process = await fakeProcess(says)
  onTestFinished(() => process[Symbol.asyncDispose]())
  return process
}

it('tells that the new side is down, and what that means at this share', async () => {
  const file = await flagsFile()
  const { url } = await app({ on: 10, newSideUp: 0 })
  const args = ['status', '--file', file, '--no-flagd', '--metrics', url]
  const { stdout, code } = await runCommand(args)
  const down = `the new side (Redis) is down at 1 of 1 processes (${new URL(url).host})`
  expect([code, stdout]).toEqual([0, expect.stringContaining(`${down}: its users are served by`)])
  const json = JSON.parse((await runCommand([...args, '--json'])).stdout)
  expect(json.processes.newSideDown).toEqual([{ process: new URL(url).host, newSide: 'redis' }])
  await writeFile(
    file,
    (await readFile(file, 'utf8')).replace('10], ["off", 90]', '0], ["off", 1]'),
  )
  expect((await runCommand(args)).stdout).toContain(`${down}: nobody is sent there`)
})

it('of a file that cannot be read, tells what is still served', async () => {
  const file = await flagsFile()
  const flagd = await startFlagd(file)
  const { url } = await app({ on: 10 })
  await writeFile(file, '{ "flags": {')
  const args = ['status', '--file', file, '--flagd', flagd.url, '--metrics', url]
  const { stdout, stderr, code } = await runCommand(args)
  expect(code).toBe(2)
  expect(stderr).toContain('error: ')
  expect(stdout).toContain('flagd and the processes keep the last flags they read')
  expect(stdout).toMatch(
    /flagd +still answers (on to 10, off to 90|off to 90, on to 10) of 100 test/,
  )
  expect(stdout).toContain(`${new URL(url).host} still sends 10 of 100 test users to the new side`)
})

it('of YAML, tells that it is read and not edited, and so does the doctor', async () => {
  const cwd = await temporaryDirectory()
  const file = join(cwd, 'flags.yaml')
  await writeFile(
    file,
    'flags:\n  use-redis:\n    state: ENABLED\n    variants: { on: true, off: false }\n',
  )
  const { code, stdout, stderr } = await runCommand(['status', '--no-flagd', '--file', file])
  expect(code).toBe(1)
  expect(stdout).toMatch(
    /file +is YAML, which flagd and the processes read, and switchback does not/,
  )
  expect(stderr).toContain('write "state: DISABLED" into the flag')
  const doctor = await runCommand(['doctor', '--no-flagd', '--file', file])
  expect(doctor.stdout).toMatch(/warning {2}edits +".*flags.yaml" is YAML/)
  expect(doctor.stdout).not.toContain('can replace')
})

it('of an empty default variant, says what flagd takes it for: the default of the code', async () => {
  const cwd = await temporaryDirectory()
  const file = join(cwd, 'flags.json')
  await writeFile(file, usual.replace('"defaultVariant": "off"', '"defaultVariant": ""'))
  const { stdout } = await runCommand(['status', '--no-flagd', '--file', file])
  expect(stdout).toContain('ENABLED, default of the code')
  expect(stdout).toContain('without one, the default of the code')
})

it('of a rule that fails, tells that its share decides nothing, and the report books no share for it', async () => {
  const file = await flagsFile()
  const at = (argv: readonly string[]) => runCommand([...argv, '--file', file])
  await at(['set', '40', '--yes', '--no-flagd'])
  const text = await readFile(file, 'utf8')
  const split = '{ "fractional": [["on", 40], ["off", 60]] }'
  await writeFile(file, text.replace(split, `{ "if": [{ "$ref": "gone" }, "on", ${split}] }`))
  const { stdout, code } = await at(['status', '--no-flagd'])
  expect(code).toBe(1)
  expect(stdout).toContain('its rule fails: ')
  expect(stdout).toContain('Its rule fails, for some users at least: they keep the side known last')
  expect(stdout).not.toContain('of the others')
  await at(['rollback', '--no-flagd'])
  const shares = (await at(['report'])).stdout
    .split('\n')
    .filter((line) => / \| \d+ s(, so far)? \|$/.test(line))
  expect(shares.map((line) => line.split(' | ')[0])).toEqual([
    '| 40 %',
    expect.stringContaining('| unclear: the rule fails'),
    '| 0 %',
  ])
})
