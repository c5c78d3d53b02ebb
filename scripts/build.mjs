// Builds `build/` (every file of `src/` as a module, with its types: for the tests, the benchmarks and
// the declarations) and `dist/` (what is published). Both are made beside the old ones and swapped, so
// that whoever runs the old ones meanwhile never sees half of the new, and nothing of a deleted source
// file stays behind to be published.
// `--unchecked` leaves the types unchecked: for test runs, where the type check speaks for itself.
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync, renameSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { bundle } from './bundle.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const tsc = `${root}node_modules/typescript/bin/tsc`
const fresh = (name) => `${root}${name}.new.${process.pid}`
const old = (name) => `${root}${name}.old.${process.pid}`
const unchecked = process.argv.includes('--unchecked') ? ['--noCheck'] : []
const NAMES = ['build', 'dist']

const { status } = spawnSync(
  process.execPath,
  [tsc, '-p', `${root}tsconfig.build.json`, '--outDir', fresh('build'), ...unchecked],
  { stdio: 'inherit' },
)
try {
  if (status === 0) {
    await bundle({ root, build: fresh('build'), out: fresh('dist') })
    // npm makes a bin executable when it links it, once: `npx switchback` would be refused after a rebuild.
    chmodSync(`${fresh('dist')}/cli/bin.js`, 0o755)
    for (const name of NAMES) swap(name)
  }
} finally {
  for (const name of NAMES) {
    for (const directory of [fresh(name), old(name)]) {
      rmSync(directory, { recursive: true, force: true })
    }
  }
}
process.exitCode = status ?? 1

/** Another build may finish at the same moment: then its directory makes way for ours. */
function swap(name) {
  for (let attempt = 1; ; attempt++) {
    try {
      renameSync(`${root}${name}`, old(name))
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
    }
    try {
      renameSync(fresh(name), `${root}${name}`)
      return
    } catch (error) {
      if (error.code !== 'ENOTEMPTY' || attempt === 5) throw error
      rmSync(old(name), { recursive: true, force: true })
    }
  }
}
