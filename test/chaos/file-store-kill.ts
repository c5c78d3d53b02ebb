// Processes share one file cache and are killed and started again under load, all the time. Nothing
// acknowledged may be lost. A test runs it for seconds; for longer:
// `npm run build && node test/chaos/file-store-kill.ts --minutes 10` (Node >= 22.18), or
// `SWITCHBACK_KILL_SECONDS=600 npx vitest run test/cache/file/kill.test.ts`.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const WORKER = fileURLToPath(new URL('file-store-worker.mjs', import.meta.url))

export interface KillReport {
  readonly kills: number
  /** Writes, invalidations and increments that were acknowledged. */
  readonly acknowledged: number
  readonly increments: number
  /** Everything that should not have been. */
  readonly lost: readonly string[]
}

export async function killFileStore(seconds: number, processes: number = 4): Promise<KillReport> {
  const root = mkdtempSync(join(tmpdir(), 'switchback-kill-'))
  const directory = join(root, 'cache')
  const notes = join(root, 'notes')
  mkdirSync(notes)
  const lost: string[] = []
  const lives: number[] = Array.from({ length: processes }, () => 0)
  let kills = 0
  const end = performance.now() + seconds * 1000

  const run = (mode: string, slot: number): ChildProcess => {
    lives[slot] = (lives[slot] ?? 0) + 1
    const child = fork(WORKER, [mode, directory, notes, `${slot}`, `${lives[slot]}`], {
      stdio: 'inherit',
    })
    child.on('message', (message: { readonly lost?: string }) => {
      if (message.lost !== undefined) lost.push(`process ${slot}.${lives[slot]}: ${message.lost}`)
    })
    child.on('exit', (code, signal) => {
      // Nobody ends but by our hand.
      if (code !== 0 && (signal !== 'SIGKILL' || !child.killed)) {
        lost.push(`process ${slot} ended with ${code ?? signal}`)
      }
    })
    return child
  }
  const keepRunning = async (slot: number): Promise<void> => {
    while (performance.now() < end) {
      const child = run('work', slot)
      const ended = once(child, 'exit')
      await Promise.race([once(child, 'message'), ended])
      // Often in the midst of its first writes, sometimes after thousands.
      await delay(Math.random() ** 3 * 1500)
      child.kill('SIGKILL')
      kills++
      await ended
    }
  }

  try {
    const slots = Array.from({ length: processes }, (_, slot) => slot)
    await Promise.all(slots.map((slot) => keepRunning(slot)))
    for (const slot of slots) await once(run('check', slot), 'exit')
    const numbers = readdirSync(notes).flatMap((file) => incrementsIn(join(notes, file)))
    const twice = numbers.length - new Set(numbers).size
    if (twice > 0) lost.push(`${twice} increments of the counter were lost`)
    const acknowledged = readdirSync(notes)
      .map((file) => readFileSync(join(notes, file), 'utf8').match(/^[!#]/gm)?.length ?? 0)
      .reduce((sum, count) => sum + count, 0)
    return { kills, acknowledged, increments: numbers.length, lost }
  } finally {
    rmSync(root, { recursive: true })
  }
}

function incrementsIn(path: string): readonly number[] {
  return [...readFileSync(path, 'utf8').matchAll(/^# counter (\d+)$/gm)].map(([, n]) => Number(n))
}

const minutes = process.argv.indexOf('--minutes')
if (process.argv[1] === fileURLToPath(import.meta.url) && minutes > 0) {
  const report = await killFileStore(Number(process.argv[minutes + 1]) * 60)
  console.log({ ...report, lost: report.lost.slice(0, 20) })
  process.exitCode = report.lost.length === 0 ? 0 : 1
}
