// One file each of CommonJS and ES modules, with no configuration but what native code needs.
import { execFileSync } from 'node:child_process'
import { build } from 'esbuild'

for (const [format, outfile] of [
  ['cjs', 'out/main.cjs'],
  ['esm', 'out/main.mjs'],
]) {
  await build({
    entryPoints: ['main.mjs'],
    bundle: true,
    platform: 'node',
    format,
    outfile,
    external: ['libsql'],
    logLevel: 'warning',
  })
  const output = execFileSync(process.execPath, [outfile], { encoding: 'utf8' })
  if (output.trim() !== 'ok') throw new Error(`${format}: ${output}`)
}
