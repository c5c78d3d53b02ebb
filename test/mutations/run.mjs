#!/usr/bin/env node
/**
 * Leaves each mechanism of the protocol out, in a copy, and tells who finds it and how soon.
 * Usage: node test/mutations/run.mjs [--seconds 60] [--tests] [--search-only] [--tests-only] [--as-it-is]
 * [--list] [part of a name, or of several]
 *
 * A mutant is looked for by the simulation, then by the walk through the file store's system calls (for
 * mutants of the files), then by the tests that it names; `--tests` runs those also for what the others
 * found, `--search-only` leaves them out, `--tests-only` the others. First the simulation is run on what is
 * there, unless it is known to be right (`--as-it-is`). An edit that does not compile proves nothing.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { mutations } from './mutations.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    tests: { type: 'boolean', default: false },
    'search-only': { type: 'boolean', default: false },
    'tests-only': { type: 'boolean', default: false },
    'as-it-is': { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    without: { type: 'string', default: 'overflow' },
    faults: {
      type: 'string',
      default: 'hang,disconnect,restart-empty,restart-snapshot,kill,oom,readonly',
    },
  },
})
const wanted = positionals.length === 0 ? [''] : positionals
const root = resolve(import.meta.dirname, '../..')
const chosen = mutations.filter(({ name, file }) =>
  wanted.some((part) => name.includes(part) || file.includes(part)),
)

/** The source with the edits, or why they do not apply. */
function edited(text, { from, to, also = [] }) {
  let result = text
  for (const [before, after] of [[from, to], ...also]) {
    if (result.split(before).length !== 2) return undefined
    result = result.replace(before, () => after)
  }
  return result
}

/** Those of the chosen that do not compile: what throws at its first step is found by anybody. */
function* compiled() {
  const place = mkdtempSync(join(tmpdir(), 'switchback-mutants-'))
  try {
    cpSync(join(root, 'src'), join(place, 'src'), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'))
    for (const config of ['package.json', 'tsconfig.json'])
      cpSync(join(root, config), join(place, config))
    const extend = { extends: './tsconfig.json', include: ['src'] }
    const noEmit = { noEmit: true, noUnusedLocals: false, noUnusedParameters: false }
    writeFileSync(
      join(place, 'mutants.json'),
      JSON.stringify({ ...extend, compilerOptions: noEmit }),
    )
    // Each mutant beside its original, and that once more, to know what the copying does.
    const beside = (file, i) => file.replace(/\.ts$/u, `.mutant-${i}.ts`)
    for (const [i, mutation] of chosen.entries()) {
      const text = readFileSync(join(root, mutation.file), 'utf8')
      writeFileSync(join(place, beside(mutation.file, i)), edited(text, mutation) ?? text)
      writeFileSync(join(place, beside(mutation.file, 'none')), text)
    }
    const tsc = join(place, 'node_modules/.bin/tsc')
    const { stdout } = spawnSync(tsc, ['-p', 'mutants.json', '--pretty', 'false'], {
      cwd: place,
      encoding: 'utf8',
    })
    const lines = stdout.split('\n')
    const errorsOf = (file) =>
      lines.filter((line) => line.startsWith(`${file}(`)).map((line) => line.replace(/^.*?: /u, ''))
    for (const [i, { name, file }] of chosen.entries()) {
      const before = errorsOf(beside(file, 'none'))
      const errors = errorsOf(beside(file, i)).filter((one) => !before.includes(one))
      if (errors.length > 0) yield { name, errors: errors.join('; ') }
    }
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

let stale = 0
let notRun = 0
for (const mutation of chosen) {
  if (edited(readFileSync(join(root, mutation.file), 'utf8'), mutation) !== undefined) continue
  stale += 1
  console.log(`DOES NOT APPLY  ${mutation.name} | ${mutation.file}`)
}
for (const { name, errors } of compiled()) {
  stale += 1
  console.log(`DOES NOT COMPILE  ${name} | ${errors}`)
}
if (values.list) {
  console.log(`${chosen.length} mutants, ${stale} of them do not apply`)
  process.exit(stale === 0 ? 0 : 1)
}

const copy = mkdtempSync(join(tmpdir(), 'switchback-mutations-'))
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

function timed(command, args, env = {}) {
  const startedAt = performance.now()
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: copy,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 600_000,
  })
  return {
    found: status !== 0,
    output: stdout + stderr,
    seconds: ((performance.now() - startedAt) / 1000).toFixed(1),
  }
}

const LOADER = ['--import', './test/simulation/ts-loader.mjs']

function simulate({ args = [] }) {
  if (values['tests-only']) return undefined
  const all = [
    '--faults',
    values.faults,
    ...args,
    '--schedules',
    '100000000',
    '--seconds',
    values.seconds,
    '--quiet',
  ]
  const { found, output, seconds } = timed(process.execPath, [
    ...LOADER,
    'test/simulation/main.ts',
    ...all,
  ])
  const [, seed, at, what] = /^seed (\d+) \(schedule (\d+), [\d.]+ s\): (\w+)/mu.exec(output) ?? []
  const failed = found && seed === undefined
  if (failed) throw new Error(`the simulation did not run:\n${output.slice(-2000)}`)
  return found ? `simulation, schedule ${at}: ${what} (${seconds} s)` : undefined
}

function preempt({ files }) {
  if (files !== true || values['tests-only']) return undefined
  const { found, output, seconds } = timed(process.execPath, [
    ...LOADER,
    'test/simulation/files-main.ts',
    '--seconds',
    values.seconds,
  ])
  const [, seed] = /^seed (\d+)/mu.exec(output) ?? []
  if (found && seed === undefined) throw new Error(`the walk did not run:\n${output.slice(-2000)}`)
  return found ? `walk through the file store, seed ${seed} (${seconds} s)` : undefined
}

function* test({ tests = [] }) {
  for (const { file, title, full } of tests) {
    const args = ['vitest', 'run', file, ...(title === undefined ? [] : ['-t', title])]
    // Some files are in no other run.
    const { found, output, seconds } = timed('npx', args, full ? { SWITCHBACK_FULL: '1' } : {})
    // A title is a pattern: what matches nothing passes.
    const none = /No test files found/u.test(output) || !/\d+ (?:passed|failed)/u.test(output)
    if (none) {
      notRun += 1
      console.log(`DID NOT RUN  no such test, or it took too long: ${file} ${title ?? ''}`)
    } else if (found) yield `${file}${title === undefined ? '' : ` "${title}"`} (${seconds} s)`
  }
}

const unedited = values['as-it-is'] ? undefined : simulate({})
if (unedited !== undefined)
  console.log(`WRONG AS IT IS, so what follows proves little: ${unedited}`)

const survivors = []
let caught = 0
try {
  for (const mutation of chosen) {
    const path = join(copy, mutation.file)
    const original = readFileSync(path, 'utf8')
    const text = edited(original, mutation)
    if (text === undefined) continue
    writeFileSync(path, text)
    const by = []
    const searched = simulate(mutation) ?? preempt(mutation)
    if (searched !== undefined) by.push(searched)
    if (!values['search-only'] && (searched === undefined || values.tests))
      by.push(...test(mutation))
    writeFileSync(path, original)
    const verdict =
      by.length > 0 ? 'found   ' : mutation.safe === undefined ? 'SURVIVED' : 'harmless'
    if (by.length > 0) caught += 1
    else if (mutation.safe === undefined) survivors.push(mutation.name)
    const rule = mutation.rule === undefined ? '' : `; model: without ${mutation.rule}`
    const why = by.length > 0 ? by.join('; ') : (mutation.safe ?? `not in ${values.seconds} s`)
    console.log(`${verdict} ${mutation.name} | ${mutation.file} | ${why}${rule}`)
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
console.log(
  `${chosen.length} mutants: ${caught} found, ${survivors.length} survived, ${stale} do not apply` +
    (notRun === 0 ? '' : `, ${notRun} tests did not run`),
)
process.exitCode = survivors.length + stale + notRun === 0 ? 0 : 1
