import { rmSync } from 'node:fs'
import { cp, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Command, type Environment, exitCode } from '../../framework/command.ts'
import { defineCommand } from '../../framework/define.ts'
import { Closers } from '../../running/closers.ts'
import { exampleFlags } from '../../running/default-flags.ts'
import { askFiveUsers, moveTo, prepareFlags, type DemoStep } from '../../running/demo-story.ts'
import { demoReport } from '../../running/demo-report.ts'
import { openStack } from '../../running/stack.ts'

/** 0 -> 50 -> 100 %, then the rollback. The story begins at 50 %. */
const SHARES = [0, 50, 100, 0] as const

const SILENT = { info() {}, warn() {} }

export const command: Command = defineCommand({
  usage: 'demo [options]',
  summary: 'shows a rollout and a rollback of five users',
  details:
    'Runs on a copy of the flags file, with its own sidecar, Redis and file cache, ' +
    'and removes them at the end.',
  options: { json: { type: 'boolean', help: 'print JSON' } },
  examples: [
    ['switchback demo', 'the whole story in a few seconds'],
    ['switchback demo --json', 'the same as JSON'],
  ],
  async run({ values, env, stdout, style, signal }) {
    const started = performance.now()
    const tell = demoReport(values.json ? { write() {} } : stdout, style)
    const closers = new Closers()
    try {
      const directory = await mkdtemp(join(tmpdir(), 'switchback-demo-'))
      const clean = (): void => rmSync(directory, { recursive: true, force: true })
      // Also when a second Ctrl-C, or a reader that closed the pipe, ends the process at once.
      process.once('exit', clean)
      closers.add(() => {
        process.off('exit', clean)
        clean()
      })
      const file = join(directory, 'use-redis.json')
      await cp(exampleFlags(), file)
      await prepareFlags(file, 50)

      const stack = await openStack({
        env: ownParts(env),
        flags: file,
        cacheDirectory: join(directory, 'cache'),
        isolated: true,
        log: SILENT,
        say: tell.note,
        signal,
      })
      closers.add(() => stack.close())
      tell.opening(stack.redis)

      const users = await askFiveUsers(stack)
      tell.users(users)
      const steps: DemoStep[] = []
      for (const share of SHARES) {
        signal.throwIfAborted()
        const step = await moveTo(stack, file, share)
        steps.push(step)
        tell.step(step, steps.length)
      }
      await stack.cache.clear()
      const failed = steps.reduce((sum, step) => sum + step.failed, 0)
      const seconds = (performance.now() - started) / 1000
      tell.ending(steps, seconds)
      if (values.json) {
        const redis = { url: stack.redis.url ?? null, detail: stack.redis.detail }
        stdout.write(`${JSON.stringify({ ok: failed === 0, redis, users, steps, seconds })}\n`)
      }
      return failed === 0 ? exitCode.done : exitCode.refused
    } finally {
      await closers.close()
    }
  },
})

/** The demo uses its own parts only: whatever is configured may be in use. */
function ownParts(env: Environment): Environment {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !name.startsWith('FLAGD_') && name !== 'REDIS_URL'),
  )
}
