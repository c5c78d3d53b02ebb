import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { flagsFixture } from '../support/flagd-server.ts'

const BIN = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'bin.js')
const PORTS = '--evaluation-port 0 --management-port 0 --sync-port 0 --ofrep-port 0'

// npm and npx end the shell at SIGTERM, and the program in it would stay with its ports.
test('a program that npm has left behind stops', async () => {
  using fixture = flagsFixture({ flags: {} })
  const command = `'${process.execPath}' '${BIN}' sidecar --file '${fixture.file}' ${PORTS}; true`
  const shell = spawn('sh', ['-c', command], {
    env: { ...process.env, npm_lifecycle_event: 'npx' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: shell.stdout })
  for await (const line of lines) if (line.startsWith('serving')) break
  // The time after which it looks who its parent is.
  await new Promise((resolve) => setTimeout(resolve, 2500))
  shell.kill('SIGKILL')
  // Its output ends when the program itself has ended.
  await once(shell, 'close')
  expect(shell.signalCode).toBe('SIGKILL')
})
