#!/usr/bin/env node
/**
 * Compiles src/ and bench/ and runs one program of bench/, since Node 20 runs no TypeScript.
 * Usage: node scripts/run-ts.mjs bench/decision.ts [arguments]
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const out = join(root, '.cache', 'bench')
const [program, ...args] = process.argv.slice(2)
if (program === undefined || !existsSync(join(root, program))) {
  console.error(
    `no such program: ${program ?? ''} (name one relative to the repository, e.g. bench/decision.ts)`,
  )
  process.exit(2)
}
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
const options = ['-p', join(root, 'tsconfig.bench.json'), '--outDir', out]
const compiled = spawnSync(process.execPath, [compiler, ...options], { stdio: 'inherit' })
if (compiled.status !== 0) process.exit(1)
const entry = join(out, program.replace(/\.ts$/u, '.js'))
const { status } = spawnSync(process.execPath, ['--expose-gc', entry, ...args], {
  stdio: 'inherit',
})
process.exit(status ?? 1)
