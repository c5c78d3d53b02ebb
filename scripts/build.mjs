// Builds `dist/` beside the old one and swaps them, so that whoever runs the old one meanwhile never
// sees half of the new, and nothing of a deleted source file stays behind to be published.
// `--keep-going` swaps in spite of type errors: for test runs, where the type check speaks for itself.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, rmSync, renameSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const tsc = `${root}node_modules/typescript/bin/tsc`
const fresh = `${root}dist.new.${process.pid}`
const old = `${root}dist.old.${process.pid}`

const { status } = spawnSync(
  process.execPath,
  [tsc, '-p', `${root}tsconfig.build.json`, '--outDir', fresh],
  { stdio: 'inherit' },
)
// npm makes a bin executable when it links it, once: `npx switchback` would be refused after a rebuild.
if (existsSync(`${fresh}/cli/bin.js`)) chmodSync(`${fresh}/cli/bin.js`, 0o755)
if (status === 0 || process.argv.includes('--keep-going')) swap()
for (const directory of [fresh, old]) rmSync(directory, { recursive: true, force: true })
process.exitCode = status ?? 1

/** Another build may finish at the same moment: then its `dist/` makes way for ours. */
function swap() {
  for (let attempt = 1; ; attempt++) {
    try {
      renameSync(`${root}dist`, old)
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
    }
    try {
      renameSync(fresh, `${root}dist`)
      return
    } catch (error) {
      if (error.code !== 'ENOTEMPTY' || attempt === 5) throw error
      rmSync(old, { recursive: true, force: true })
    }
  }
}
