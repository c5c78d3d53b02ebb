import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../rollout/support.ts'
import { runCommand } from '../support/run-command.ts'

// One meaning of a flags file that is none: bad input, exit code 2, and one line that names what is wrong with it.
const good = `{"flags":{"use-redis":{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"off","targeting":{"fractional":[["on",50],["off",50]]}}}}`

const FILES: Readonly<Record<string, readonly [text: string | Buffer | undefined, told: RegExp]>> =
  {
    'that is missing': [undefined, /the flags file ".*use-redis\.json" does not exist/],
    'that is a directory': ['/', /cannot read ".*use-redis\.json": it is a directory/],
    'that is empty': ['', /use-redis\.json", line 1, column 1: the file is empty/],
    'of half a JSON': ['{ "flags": ', /use-redis\.json", line 1, column 12: a value is expected/],
    'with a byte order mark': [`\uFEFF${good}`, /use-redis\.json".* begins with a byte order mark/],
    'in UTF-16': [Buffer.from(good, 'utf16le'), /use-redis\.json", line 1/],
    'that is not text': [Buffer.from([0xff, 0x7b]), /use-redis\.json" is not valid UTF-8/],
    'that is a list': ['[]', /the file is an array, not an object/],
    'without flags': ['{"a":1}', /the file has no "flags"/],
    'whose flags are a text': ['{"flags":"x"}', /"flags" is a string, not an object/],
    'whose flag is a text': ['{"flags":{"use-redis":"x"}}', /flag "use-redis" is a string, not an/],
    'without the flag': ['{"flags":{}}', /the file has no flag "use-redis"/],
    'that flagd refuses': [good.replace('"off","targeting', '"zz","targeting'), /"zz" .* variant/],
  }

const COMMANDS: readonly (readonly string[])[] = [
  ['set', '5', '--no-flagd', '--yes'],
  ['rollback', '--no-flagd'],
  ['pilot', '--attribute', 'plan', '--in', 'beta', '--no-flagd', '--yes'],
  ['undo', '--no-flagd', '--yes'],
  ['preview', '5', '--count', '10'],
  ['explain', 'user_1', '--no-flagd'],
  ['status', '--no-flagd'],
  ['history'],
  ['report'],
]
/** They look only for a history, or have found what they were asked to find. */
const OTHERWISE: Readonly<Record<string, readonly string[]>> = {
  'that flagd refuses': ['undo', 'history', 'report', 'status'],
}

describe.each(Object.entries(FILES))('a flags file %s', (kind, [content, told]) => {
  it.each(COMMANDS.map((argv) => [argv[0]!, argv] as const))(
    'is bad input of %s',
    async (name, argv) => {
      const file = join(await temporaryDirectory(), 'use-redis.json')
      if (content === '/') await mkdir(file)
      else if (content !== undefined) await writeFile(file, content)
      const { code, stdout, stderr } = await runCommand([...argv, '--file', file])
      if (OTHERWISE[kind]?.includes(name) === true) return
      expect(code).toBe(2)
      // It says beside that what the processes do meanwhile.
      if (name !== 'status') expect(stdout).toBe('')
      const [line = '', hint = '', ...more] = stderr.trimEnd().split('\n')
      expect(line).toMatch(told)
      expect(hint).toMatch(/^ {2}\S/)
      expect(more).toEqual([])
    },
  )
})

it('that is gone or broken leaves its history readable', async () => {
  const file = join(await temporaryDirectory(), 'use-redis.json')
  await writeFile(file, good)
  expect((await runCommand(['rollback', '--no-flagd', '--file', file])).code).toBe(0)
  await writeFile(file, '')
  for (const command of ['history', 'report']) {
    const { code, stdout } = await runCommand([command, '--file', file])
    expect({ code, told: stdout.includes('rollback') }).toEqual({ code: 0, told: true })
  }
  await rm(file)
})

it.skipIf(process.getuid?.() === 0)('that may not be read is bad input', async () => {
  const file = join(await temporaryDirectory(), 'use-redis.json')
  await writeFile(file, good)
  await chmod(file, 0)
  const { code, stderr } = await runCommand(['status', '--no-flagd', '--file', file])
  expect({ code, told: /cannot read .*EACCES/.test(stderr) }).toEqual({ code: 2, told: true })
})
