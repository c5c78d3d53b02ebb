import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

/** What is published, for child processes: one file, not sixty. */
export const builtRollout: string = fileURLToPath(
  new URL('../../dist/rollout.mjs', import.meta.url),
)

/** A flags file as this repository ships it. */
export const usual = `{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "flags": {
    "use-redis": {
      "state": "ENABLED",
      "variants": { "on": true, "off": false },
      "defaultVariant": "off",
      "targeting": { "fractional": [["on", 10], ["off", 90]] }
    }
  }
}
`

/** A directory of its own that is removed when the test is over. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'switchback-rollout-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** A flags file in a directory of its own. */
export async function flagsFile(text: string = usual): Promise<string> {
  const file = join(await temporaryDirectory(), 'use-redis.json')
  await writeFile(file, text)
  return file
}

/** The `on` weight in a file, straight from its JSON. */
export async function onWeight(file: string): Promise<number> {
  const parsed = JSON.parse(await readFile(file, 'utf8'))
  return parsed.flags['use-redis'].targeting.fractional[0][1]
}

/** How a child process ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a module's text in a child process, with `rollout` imported. */
export async function runChild(
  body: string,
  args: readonly string[] = [],
  command: readonly string[] = [process.execPath],
): Promise<Ended> {
  const [program = '', ...before] = command
  const source = `import * as rollout from ${JSON.stringify(builtRollout)}\n${body}`
  const child = spawn(program, [...before, '--input-type=module', '-e', source, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk) => (stdout += chunk))
  child.stderr.on('data', (chunk) => (stderr += chunk))
  const [code, signal] = await once(child, 'close')
  return { code, signal, stdout, stderr }
}
