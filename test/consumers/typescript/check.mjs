// Without skipLibCheck and without the optional peers: the declarations must need nothing else.
import { spawnSync } from 'node:child_process'

const settings = [
  ['--module', 'nodenext', '--moduleResolution', 'nodenext'],
  ['--module', 'esnext', '--moduleResolution', 'bundler'],
]
for (const compiler of ['typescript-5', 'typescript-7']) {
  for (const setting of settings) {
    const files = setting.includes('nodenext') ? ['main.ts', 'main.cts'] : ['main.ts']
    const { status, stdout } = spawnSync(
      process.execPath,
      [
        `node_modules/${compiler}/bin/tsc`,
        '--noEmit',
        '--strict',
        '--exactOptionalPropertyTypes',
        '--target',
        'es2023',
        '--types',
        'node',
        ...setting,
        ...files,
      ],
      { encoding: 'utf8' },
    )
    if (status !== 0) throw new Error(`${compiler} ${setting.join(' ')}\n${stdout}`)
  }
}
