import { readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { beforeEach, expect, test } from 'vitest'
import {
  changeBack,
  type ChangeOptions,
  changeShare,
  changeUndo,
  codeDefault,
  createEvaluator,
  lastGoodFile,
  readFlags,
  readHistory,
} from '../../src/rollout/index.ts'
import { flagsFile, onWeight, usual } from './support.ts'

let file: string
let base: ChangeOptions
beforeEach(async () => {
  file = await flagsFile()
  base = { file, flag: 'use-redis', flagd: false, by: { who: 'ann', via: 'test' } }
})

const command = 'switchback rollback --restore'
const files = async (): Promise<string[]> => (await readdir(dirname(file))).sort()

test.each([
  ['half a JSON', async () => writeFile(file, usual.slice(0, 150)), 'SB_FLAGS_SYNTAX'],
  ['an empty file', async () => writeFile(file, ''), 'SB_FLAGS_SYNTAX'],
  ['no UTF-8', async () => writeFile(file, Buffer.from([0xff, 0x7b])), 'SB_FLAGS_SYNTAX'],
  [
    'a flag of others that flagd refuses',
    async () => writeFile(file, usual.replace('"use-redis": {', '"other": 5, "use-redis": {')),
    'SB_FLAGS_REFUSED',
  ],
  ['no file', async () => rm(file), 'SB_FILE_MISSING'],
] as const)(
  '%s at 100 %%: refused with the command, which puts it right',
  async (_, harm, code) => {
    await changeShare({ ...base, percent: 100 })
    await harm()
    const broken = await readFile(file).catch(() => undefined)
    const refused = changeBack(base)
    await expect(refused).rejects.toMatchObject({
      code,
      message: expect.stringMatching(/^nothing was rolled back: /),
      hint: expect.stringContaining(command),
    })
    expect(await readFile(file).catch(() => undefined)).toEqual(broken)

    const { applied } = await changeBack({ ...base, restore: true })
    expect(await onWeight(file)).toBe(0)
    expect(await readFile(file, 'utf8')).toBe(
      usual.replace('["on", 10], ["off", 90]', '["on", 0], ["off", 100]'),
    )
    expect(applied?.warning).toMatch(/^restored from use-redis\.json\.last-good of 20/)
    expect(await files()).toEqual([
      'use-redis.history.jsonl',
      'use-redis.json',
      ...(broken === undefined ? [] : ['use-redis.json.broken']),
      'use-redis.json.last-good',
    ])
    if (broken !== undefined) expect(await readFile(`${file}.broken`)).toEqual(broken)
    expect((await readHistory(file)).at(-1)).toMatchObject({
      action: 'restore',
      from: 100,
      to: 0,
      who: 'ann',
    })
    await changeUndo(base)
    expect(await onWeight(file)).toBe(100)
  },
)

test('the last good file had everybody off already: it is written all the same; no broken one is lost', async () => {
  await changeShare({ ...base, percent: 0 })
  for (const text of ['{', '[']) {
    await writeFile(file, text)
    await changeBack({ ...base, restore: true })
    expect(await onWeight(file)).toBe(0)
  }
  expect(await readFile(`${file}.broken`, 'utf8')).toBe('{')
  expect(await readFile(`${file}.broken-2`, 'utf8')).toBe('[')
})

test('a file that is well is rolled back as ever', async () => {
  await changeShare({ ...base, percent: 100 })
  await writeFile(file, usual.replace('10', '70').replace('90', '30'))
  const { edit } = await changeBack({ ...base, restore: true })
  expect(edit).toMatchObject({ action: 'rollback', from: 70, to: 0 })
  expect((await files()).filter((name) => name.includes('broken'))).toEqual([])
})

test.each(['', '{"flags":{"other":{}}}', '{'])(
  'none is known (%j): nothing is written, and the command that it prints turns everybody off',
  async (known) => {
    await writeFile(file, '{"flags"')
    if (known !== '') await writeFile(lastGoodFile(file), known)
    const before = await files()
    const error: unknown = await changeBack({ ...base, restore: true }).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'SB_RESTORE_NOTHING' })
    expect([await files(), await readFile(file, 'utf8')]).toEqual([before, '{"flags"'])
    const { hint } = error as { hint: string }
    await promisify(execFile)('sh', ['-c', hint.slice(hint.indexOf('echo '))])
    const { edit } = await changeBack(base)
    expect(edit).toMatchObject({ changes: [], to: 0 })
  },
)

test('behind a link, the file itself is restored; a dry run touches nothing', async () => {
  const link = join(dirname(file), 'link.json')
  await symlink(basename(file), link)
  await changeShare({ ...base, percent: 100 })
  await writeFile(file, '{')
  const before = await files()
  await changeBack({ ...base, file: link, restore: true, dryRun: true })
  expect(await files()).toEqual(before)
  await changeBack({ ...base, file: link, restore: true })
  expect(await onWeight(file)).toBe(0)
})

test('no edit of a file that flagd refuses is written: the place is told, and nobody is asked', async () => {
  const text = usual.replace('"use-redis": {', '"other": 5, "use-redis": {')
  await writeFile(file, text)
  // A process that is named must not be what the refusal is blamed on.
  const processes = { metrics: ['http://127.0.0.1:1/metrics'] }
  const asked: unknown[] = []
  const onEdit = (edit: unknown): void => void asked.push(edit)
  await expect(changeShare({ ...base, processes, onEdit, percent: 50 })).rejects.toMatchObject({
    code: 'SB_FLAGS_REFUSED',
    message: expect.stringMatching(/^nothing was written: flagd would refuse the file: line 4/),
  })
  expect([asked, await readFile(file, 'utf8')]).toEqual([[], text])
})

test.each([
  ['Targeting', (text: string) => text.replace('"targeting"', '"Targeting"')],
  ['State', (text: string) => text.replace('"state"', '"State"')],
  [
    'DefaultVariant',
    (text: string) => text.replace('"targeting"', '"DefaultVariant": "on", "targeting"'),
  ],
  ['Flags', (text: string) => text.replace('"flags"', '"Flags"')],
])('a field %s, which flagd reads too, is not passed over by a rollback', async (_, odd) => {
  for (const disable of [false, true]) {
    await writeFile(file, odd(usual))
    const { edit } = await changeBack({ ...base, disable })
    const evaluate = createEvaluator(readFlags(await readFile(file, 'utf8')), base.flag)
    const answers = new Set(['', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'].map(evaluate))
    expect([...answers]).toEqual([disable ? codeDefault : 'off'])
    expect(edit.action).toBe(disable ? 'disable' : 'rollback')
  }
})

test.each([false, true])(
  'YAML is not edited, and no command that would (restore %s)',
  async (restore) => {
    const yaml = join(dirname(file), 'flags.yaml')
    const text =
      'flags:\n  use-redis:\n    state: ENABLED\n    variants: { on: true, off: false }\n    defaultVariant: "on"\n'
    await writeFile(yaml, text)

    const refused = await changeBack({ ...base, file: yaml, restore }).catch(
      (error: unknown) => error,
    )

    expect(refused).toMatchObject({ code: 'SB_FLAGS_YAML' })
    expect(`${(refused as Error).message} ${(refused as { hint: string }).hint}`).not.toMatch(
      /echo|mv /,
    )
    expect((refused as { hint: string }).hint).toContain('write "state: DISABLED" into the flag')
    expect(await readFile(yaml, 'utf8')).toBe(text)
  },
)
