import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { useRedis } from '../support/flags-files.ts'
import { temporaryDirectory } from '../provision/support.ts'
import { runCommand } from '../support/run-command.ts'

const hash = { before: 'a', after: 'b' }
const change = (at: string, from: number, to: number, more: object = {}): string =>
  JSON.stringify({
    version: 1,
    id: at,
    at: `2026-11-26T${at}Z`,
    who: 'guard of ann@host',
    via: 'guard',
    action: to === 0 ? 'rollback' : 'set',
    flag: 'use-redis',
    from,
    to,
    ...hash,
    ...more,
  })
const note = (at: string, action: string, reason: string, more: object = {}): string =>
  JSON.stringify({
    at: `2026-11-26T${at}Z`,
    flag: 'use-redis',
    action,
    dryRun: false,
    from: 10,
    to: 10,
    reason,
    epoch: 2,
    ...more,
  })

it('writes down what is known of the last rollout, and leaves open what people know', async () => {
  const directory = await temporaryDirectory()
  const file = join(directory, 'use-redis.json')
  await writeFile(file, JSON.stringify(useRedis(0)))
  await writeFile(
    join(directory, 'use-redis.history.jsonl'),
    [
      change('08:00:00', 0, 50, { reason: 'an earlier rollout' }),
      change('09:00:00', 50, 0),
      change('20:00:00', 0, 1, { reason: 'the baseline is known' }),
      change('20:10:00', 1, 10, { who: 'bob@host', via: 'cli', reason: 'a | b <script>\nsecond' }),
      change('20:12:30', 10, 0, { reason: 'failed: 30 of 900' }),
    ].join('\n'),
  )
  const numbers = [
    {
      metric: 'failed',
      on: '30 of 900',
      off: '1 of 9000',
      harm: 20,
      harmThreshold: 6.9,
      userEffect: 1,
      timeEffect: 1,
      effectiveSlots: 5,
      scale: 0,
      effectiveBuckets: 9,
      worst: { replica: 'app-2:3002', share: 0.4 },
    },
  ]
  await writeFile(
    join(directory, 'use-redis.guard.jsonl'),
    [
      note('08:30:00', 'alarm', 'side-out: earlier', { alarm: 'side-out' }),
      note('20:11:00', 'alarm', 'side-out: redis cannot be reached', { alarm: 'side-out' }),
      note('20:11:30', 'clear', 'side-out: redis cannot be reached', { alarm: 'side-out' }),
      note('20:11:40', 'incident', '32 operations degraded within 1 s'),
      note('20:12:30', 'rollback', 'failed', { to: 0, numbers, servedMs: 41, confirmed: true }),
      '{"at":"2026',
    ].join('\n'),
  )
  const { code, stdout } = await runCommand(['report', '--file', file])
  expect(code).toBe(0)
  expect(stdout).not.toContain('earlier')
  for (const line of [
    '# Rollout of `use-redis`',
    '- **widest share**: 10 %',
    '- **attempts of the guard**: 2',
    '- **last way back**: 2026-11-26 20:12:30 UTC by guard of ann@host: failed: 30 of 900',
    '- **the guard’s rollback was confirmed**: by all that were asked, after 41 ms',
    '| 2026-11-26 20:10:00 | bob@host | set, 1 % → 10 % | a \\| b &lt;script> second |',
    '| 10 % | 2026-11-26 20:10:00 | 150 s |'.replace('150 s', '3 min'),
    '| `failed` | 30 of 900 | 1 of 9000 | above 10,000,000 to 1 (990) | app-2:3002, 40 % of the bad |',
    '| 2026-11-26 20:11:00 | `side-out` | 30 s | redis cannot be reached |',
    '- 2026-11-26 20:11:40 UTC: 32 operations degraded within 1 s',
    '- Why it happened:',
  ]) {
    expect(stdout.split('\n')).toContain(line)
  }
  const earlier = await runCommand(['report', '--file', file, '--since', '2026-11-26T07:00Z'])
  expect(earlier.stdout).toContain('an earlier rollout')
  expect((await runCommand(['report', '--file', file, '--since', 'soon'])).code).toBe(2)
})

it('says that nothing is recorded, where nothing is', async () => {
  const file = join(await temporaryDirectory(), 'use-redis.json')
  await writeFile(file, JSON.stringify(useRedis(0)))
  const { code, stdout } = await runCommand(['report', '--file', file])
  expect([code, stdout]).toEqual([0, expect.stringContaining('**from**: nothing is recorded')])
})
