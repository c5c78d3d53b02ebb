// `npm test`: everything that CI checks, one line a step, failures in full, a plain count at the end.
// With arguments (`npm test -- test/flags`) only the tests, handed on to vitest.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const filters = process.argv.slice(2)
const scratch = mkdtempSync(join(tmpdir(), 'switchback-npm-test-'))
const failed = []
let counts = { passed: 0, failed: 0, skipped: 0 }

try {
  if (await step('build', node('scripts/build.mjs', '--unchecked'))) {
    // Beside the tests, which wait for half of their time.
    const checked = filters.length === 0 ? checks() : []
    await step('programs', provision)
    await Promise.all([...checked, tests()])
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

if (failed.length > 0) console.log(`failed: ${failed.join(', ')}`)
console.log(`tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
process.exitCode = failed.length === 0 ? 0 : 1

function checks() {
  return [
    step('lint', bin('oxlint', '--deny-warnings')),
    step('format', bin('oxfmt', '--check')),
    // Beside the tests, each further checker costs a third more: it checks again what it shares with others.
    step('types', bin('tsc', '-p', 'tsconfig.json', '--checkers', '1')),
    step('imports', node('scripts/check-imports.mjs')),
    step('package', node('scripts/check-package.mjs')),
  ]
}

/** Runs one step; its output is shown when it fails. */
async function step(name, work) {
  const started = performance.now()
  const { ok, output } = await work()
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds.padStart(6)} s`)
  if (!ok) {
    failed.push(name)
    console.log(output)
  }
  return ok
}

function node(script, ...args) {
  return () => run(process.execPath, [script, ...args])
}

function bin(name, ...args) {
  return () => run(join('node_modules', '.bin', name), args)
}

function run(file, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (chunk) => (output += chunk))
    }
    child.once('error', (error) => resolve({ ok: false, output: error.message }))
    child.once('close', (code) => resolve({ ok: code === 0, output }))
  })
}

/** Gets what the tests stand on. A missing program fails CI only. */
async function provision() {
  const { chromium, obtainProgram, promtool, redisServer } =
    await import('../build/cli/provision/index.js')
  const options = { env: process.env, say: (line) => console.log(`       ${line}`) }
  const missing = []
  for (const program of [redisServer, chromium, promtool]) {
    const obtained = await obtainProgram(program, options)
    if (obtained.path === undefined) missing.push(obtained.reason)
  }
  if (process.env.CI === 'true') return { ok: missing.length === 0, output: missing.join('\n') }
  for (const reason of missing) console.log(`!!!    tests will be SKIPPED: ${reason}`)
  return { ok: true, output: '' }
}

/**
 * A few files that fail beside the others are run once more alone. What passes then is named all the
 * same: a test that fails on a busy machine is a bug, but not one of the change under test.
 */
async function tests() {
  const first = join(scratch, 'report.json')
  const ok = await step('tests', () => vitest(first, filters))
  counts = count(first)
  const files = failedFiles(first)
  if (ok || files.length === 0 || files.length > 3) return
  const again = join(scratch, 'again.json')
  if (!(await step('alone', () => vitest(again, [...files, '--maxWorkers=1'])))) return
  failed.splice(failed.indexOf('tests'), 1)
  counts = { ...counts, passed: counts.passed + counts.failed, failed: 0 }
  console.log(`FAILED BESIDE OTHERS, PASSED ALONE (mend them): ${files.join(', ')}`)
}

function vitest(report, args) {
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  return run(join('node_modules', '.bin', 'vitest'), ['run', ...reporters, ...args], {
    stdio: 'inherit',
    env: { ...process.env, SWITCHBACK_BUILT: '1', SWITCHBACK_SKIPPED: join(scratch, 'skipped') },
  })
}

function failedFiles(report) {
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'))
    return testResults.filter(({ status }) => status === 'failed').map(({ name }) => name)
  } catch {
    return []
  }
}

/** A file that fails to load has no tests in the report: it counts as one failure. */
function count(report) {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } =
      JSON.parse(readFileSync(report, 'utf8'))
    const unloaded = testResults.filter(
      (file) => file.status === 'failed' && !file.assertionResults.some(isFailed),
    ).length
    return {
      passed: numPassedTests,
      failed: numFailedTests + unloaded,
      skipped: numPendingTests + numTodoTests + skippedFiles(),
    }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}

function isFailed(test) {
  return test.status === 'failed'
}

/** Whole files that were left out for want of a program, as the global setup noted them. */
function skippedFiles() {
  try {
    return readFileSync(join(scratch, 'skipped'), 'utf8').split('\n').length - 1
  } catch {
    return 0
  }
}
