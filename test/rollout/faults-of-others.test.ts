import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  apply,
  changeShare,
  createEvaluator,
  loadFlags,
  readFlags,
  setShare,
  validate,
} from '../../src/rollout/index.ts'
import { startFlagd } from '../support/flagd.ts'
import { flagsFile, onWeight, usual } from './support.ts'

// What other tools that edit flagd's files do wrong; none of it may happen here.
const flag = 'use-redis'
const by = { who: 'test', via: 'test' }
const users = Array.from({ length: 1000 }, (_, index) => `user_${index}`)

describe('faults of other tools', () => {
  it('ramping a fresh flag gives nobody the variant: here it gives the share', () => {
    const fresh = readFlags(usual.replace(/,\n {6}"targeting".*/, ''))
    const { after } = setShare(fresh, { flag, percent: 25 })
    const evaluate = createEvaluator(after, flag)
    const on = users.filter((user) => evaluate(user) === 'on').length
    expect(on).toBeGreaterThan(200)
    expect(on).toBeLessThan(300)
    expect(validate(after.text)).toEqual([])
  })

  it('a random order of the split moves nearly everyone: here the order stays, 50 times', () => {
    let document = readFlags(usual.replace('["on", 10], ["off", 90]', '["off", 90], ["on", 10]'))
    for (let step = 0; step < 50; step++) {
      document = setShare(document, { flag, percent: 10 + step }).after
      expect(document.text).toMatch(/\[\["off", \d+\], \["on", \d+\]\]/)
    }
  })

  it('the bucketing key is forced: here it stays as it is', () => {
    const own = usual.replace('[["on"', '[{ "var": "account" }, ["on"')
    const { after } = setShare(readFlags(own), { flag, percent: 25 })
    expect(after.text).toBe(own.replace('["on", 10], ["off", 90]', '["on", 25], ["off", 75]'))
  })

  it('writes in place tear the file: here a reader never sees half of it', async () => {
    const file = await flagsFile()
    const inode = (await stat(file)).ino
    const stop = new AbortController()
    const seen = new Set<number>()
    const reader = (async () => {
      while (!stop.signal.aborted) seen.add(await onWeight(file))
    })()
    for (let percent = 11; percent < 41; percent++) {
      const edit = setShare(await loadFlags(file), { flag, percent })
      await apply(edit, { file, by })
    }
    stop.abort()
    await reader
    expect(seen.size).toBeGreaterThan(3)
    expect((await stat(file)).ino).not.toBe(inode)
  })

  it('unknown fields, $evaluators and metadata are dropped: here every byte besides the weights stays', async () => {
    const rich = usual.replace(
      '"flags": {',
      '"$evaluators": { "team": { "ends_with": [{ "var": "email" }, "@x.com"] } },\n  "x-owner": {"a":[1.0,1e3,"\\u00e9"]},\n  "metadata": { "version": "1" },\n  "flags": {',
    )
    const file = await flagsFile(rich)
    await apply(setShare(await loadFlags(file), { flag, percent: 25 }), { file, by })
    expect(await readFile(file, 'utf8')).toBe(
      rich.replace('["on", 10], ["off", 90]', '["on", 25], ["off", 75]'),
    )
  })

  it('the default variant of a targeted flag is edited, to no effect: here it is not touched', () => {
    const { changes } = setShare(readFlags(usual), { flag, percent: 100 })
    expect(changes.map(({ path }) => path.join('/'))).toEqual([
      'flags/use-redis/targeting/fractional/0/1',
      'flags/use-redis/targeting/fractional/1/1',
    ])
    const byOthers = usual.replace('"defaultVariant": "off"', '"defaultVariant": "on"')
    expect(validate(byOthers, { before: usual }).map(({ code }) => code)).toContain(
      'default-variant-changed',
    )
  })

  it('hand edits are overwritten: here the one who was faster wins and the other is told', async () => {
    const file = await flagsFile()
    const edit = setShare(await loadFlags(file), { flag, percent: 25 })
    const byHand = usual.replace('"off": false', '"off":   false')
    await writeFile(file, byHand)
    await expect(apply(edit, { file, by })).rejects.toMatchObject({ code: 'SB_FLAGS_CHANGED' })
    expect(await readFile(file, 'utf8')).toBe(byHand)
    expect(await readdir(dirname(file))).toEqual(['use-redis.json'])
  })

  it('success is told when the file is written: here only when flagd serves it', async () => {
    const file = await flagsFile()
    const flagd = await startFlagd(file)
    // flagd refuses the whole file for another flag's sake, and no tool would have told.
    const broken = usual.replace(
      '"flags": {',
      '"flags": {\n    "x": { "state": "ENABLED", "variants": { "a": 1 }, "defaultVariant": "b" },',
    )
    await writeFile(file, broken)
    await expect(
      changeShare({ file, flag, by, percent: 25, flagd: flagd.url }),
    ).rejects.toMatchObject({
      code: 'SB_FLAGS_REFUSED',
      message: expect.stringContaining('the default variant "b" is not one of the variants'),
    })
  })
})
