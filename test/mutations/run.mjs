#!/usr/bin/env node
/**
 * Leaves each mechanism of the protocol out, in a copy, and expects its tests to fail: a test that
 * passes without the mechanism proves nothing. Usage: node test/mutations/run.mjs [part of a name]
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { mutations } from './mutations.mjs'

const root = resolve(import.meta.dirname, '../..')
const copy = mkdtempSync(join(tmpdir(), 'switchback-mutations-'))
const wanted = process.argv[2] ?? ''
const onlyFile = process.env.ONLY_FILE ?? ''
let survivors = 0

function runs({ file, title }) {
  const args = ['vitest', 'run', file, ...(title === undefined ? [] : ['-t', title])]
  const env = { ...process.env, SWITCHBACK_RUNS: process.env.SWITCHBACK_RUNS ?? '20000' }
  const { status, stdout, stderr } = spawnSync('npx', args, { cwd: copy, env, encoding: 'utf8' })
  if (/No test files found|0 passed/u.test(stdout + stderr))
    throw new Error(`no test: ${file} ${title}`)
  return { passed: status === 0, output: stdout + stderr }
}

try {
  for (const part of [
    'src',
    'test',
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
    'vitest.config.ts',
    'flags',
  ]) {
    cpSync(join(root, part), join(copy, part), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const { name, file, from, to, tests } of mutations.filter((one) =>
    one.name.includes(wanted),
  )) {
    const path = join(copy, file)
    const original = readFileSync(path, 'utf8')
    if (original.split(from).length !== 2)
      throw new Error(`${name}: ${file} does not hold the text once`)
    for (const test of tests.filter((one) => one.file.includes(onlyFile))) {
      const label = `${name} | ${test.title ?? test.file}`
      writeFileSync(path, original)
      const asIs = runs(test)
      if (!asIs.passed) {
        survivors += 1
        console.log(`BROKEN    ${label}: fails without the edit too\n${asIs.output.slice(-2000)}`)
        continue
      }
      writeFileSync(
        path,
        original.replace(from, () => to),
      )
      const { passed } = runs(test)
      if (passed) survivors += 1
      console.log(`${passed ? 'SURVIVED ' : 'caught   '} ${label}`)
    }
    writeFileSync(path, original)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(survivors === 0 ? 'every mutation was caught' : `${survivors} not caught`)
process.exitCode = survivors === 0 ? 0 : 1
