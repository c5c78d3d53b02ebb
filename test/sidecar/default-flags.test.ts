import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { defaultFlags, exampleFlags } from '../../src/cli/running/default-flags.ts'

test('the flags that are served when none are named', () => {
  const packaged = resolve('flags/use-redis.json')
  const before = process.cwd()
  const directory = mkdtempSync(join(tmpdir(), 'switchback-default-'))
  onTestFinished(() => {
    process.chdir(before)
    rmSync(directory, { recursive: true })
  })
  process.chdir(directory)
  expect([defaultFlags(), exampleFlags()]).toEqual([packaged, packaged])
  mkdirSync('flags')
  expect([defaultFlags(), exampleFlags()]).toEqual(['flags', packaged])
  writeFileSync('flags/use-redis.json', '{}')
  const ours = join('flags', 'use-redis.json')
  expect([defaultFlags(), exampleFlags()]).toEqual([ours, ours])
})
