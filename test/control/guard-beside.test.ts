import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { guardBeside } from '../../src/cli/controlling/guard-beside.ts'
import { guardFiles, parsePlan } from '../../src/guard/index.ts'
import { deploy } from '../guard/deployment.ts'
import { until } from '../support/until.ts'

test('a page whose guard only watches shows the one that acts beside the same file, while it is heard', async () => {
  const { file, plan } = await deploy(10)
  const stop = new AbortController()
  const guard = guardBeside({
    mode: 'watch',
    plan: parsePlan(plan),
    target: { flag: 'use-redis', file, flagd: false },
    name: 'guard of page@host',
    signal: stop.signal,
    say: () => {},
  })
  await until('its own view', () => guard.read().mode === 'advising')
  const tell = async (at: number): Promise<void> => {
    const summary = { ...guard.read(), mode: 'acting', sentence: 'waits for failed 0 of 193', at }
    const status = { flag: 'use-redis', name: 'guard of ann@host', summary }
    await writeFile(guardFiles(file, 'use-redis').status, JSON.stringify(status))
  }
  await tell(Date.now() + 60_000)
  await until('the one that acts', () => guard.read().elsewhere === 'guard of ann@host')
  expect(guard.read()).toMatchObject({ mode: 'acting', sentence: 'waits for failed 0 of 193' })
  await tell(Date.now() - 60_000)
  await until('its own view again', () => guard.read().elsewhere === undefined)
  expect(guard.read().mode).toBe('advising')
  stop.abort()
  await guard.done
})
