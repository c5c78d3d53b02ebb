// Packs the package as npm would publish it and has publint and are-the-types-wrong look at it.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const scratch = mkdtempSync(join(tmpdir(), 'switchback-package-'))
const problems = []
// What a run of this checkout leaves beside the flags names people. It must not be published.
const left = 'flags/check-package.history.jsonl'

try {
  writeFileSync(left, '')
  const pack = run('npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', scratch)
  const [{ filename, files }] = JSON.parse(pack)
  const tarball = join(scratch, filename)
  run('node_modules/.bin/publint', 'run', tarball, '--strict')
  run('node_modules/.bin/attw', tarball, '--format', 'ascii', '--no-emoji')
  missingFiles(new Set(files.map(({ path }) => path)))
} catch (error) {
  problems.push(error.message)
} finally {
  rmSync(left, { force: true })
  rmSync(scratch, { recursive: true, force: true })
}

if (problems.length > 0) console.error(problems.join('\n'))
process.exitCode = problems.length === 0 ? 0 : 1

function run(file, ...args) {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8' })
  if (status !== 0) {
    throw new Error(`${[file, ...args].join(' ')}\n${stdout ?? ''}${stderr ?? ''}${error ?? ''}`)
  }
  return stdout
}

/** Every path that package.json promises must be packed, and nothing of the tests. */
function missingFiles(packed) {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
  const targets = targetsOf(manifest.exports)
  targets.push(manifest.main, manifest.module, manifest.types, './dist/THIRD_PARTY.txt')
  for (const target of [...targets, ...Object.values(manifest.bin)]) {
    const path = target.replace(/^\.\//, '')
    if (!packed.has(path)) problems.push(`package.json names ${target}, which is not packed`)
  }
  for (const path of packed) {
    if (/\.(history\.jsonl|last-good|broken|guard\.)/.test(path)) problems.push(`${path} is packed`)
  }
  for (const name of ['LICENSE', 'README.md', 'CHANGELOG.md']) {
    if (!packed.has(name)) problems.push(`${name} is not packed`)
  }
}

/** The files behind conditions, however deep. */
function targetsOf(entry) {
  return typeof entry === 'string' ? [entry] : Object.values(entry).flatMap(targetsOf)
}
