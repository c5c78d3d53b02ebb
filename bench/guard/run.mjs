// `node bench/guard/run.mjs [options of main.ts]`: runs main.ts, compiled first where Node cannot.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

if (process.features.typescript) {
  await import('./main.ts')
} else {
  const out = mkdtempSync(join(tmpdir(), 'switchback-bench-'))
  process.on('exit', () => rmSync(out, { recursive: true, force: true }))
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: {
      noEmit: false,
      rootDir: root,
      outDir: out,
      typeRoots: [join(root, 'node_modules/@types')],
    },
    include: [join(root, 'bench/guard')],
  }
  writeFileSync(join(out, 'tsconfig.json'), JSON.stringify(config))
  writeFileSync(join(out, 'package.json'), '{"type":"module"}')
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [tsc, '-p', join(out, 'tsconfig.json')], { stdio: 'inherit' })
  await import(pathToFileURL(join(out, 'bench/guard/main.js')).href)
}
