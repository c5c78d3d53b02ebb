import { chmod, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { viewOf } from '../../src/guard/index.ts'
import { guardRunner } from './run-guard.ts'
import { deploy, directory } from './deployment.ts'
import { World } from './world.ts'

const worlds: World[] = []
afterEach(() => {
  for (const each of worlds.splice(0)) each.close()
})

function world(seed: number): World {
  const made = new World(seed)
  worlds.push(made)
  return made
}

const PLAN = '{ steps: [10, 50, 100], baselineTime: 0s, hold: 5s, settle: 0s }'

const run = guardRunner({ SWITCHBACK_WHO: 'ann@host' })

describe('a pause', () => {
  test('holds every step, over a restart, and is told; it ends by an order', async () => {
    const here = world(1)
    const first = here.guard(PLAN)
    await here.until(first, ({ percent }) => percent === 10)
    here.order = { kind: 'pause', who: 'ann@host' }
    await here.run(first, 120)
    expect(here.percent).toBe(10)
    expect(viewOf(first.status).sentence).toMatch(/^at 10 %: paused by ann@host since \d\d:\d\d; /)
    await first.close()
    const second = here.guard(PLAN)
    await here.run(second, 60)
    expect(here.percent).toBe(10)
    here.order = { kind: 'unpause', who: 'bob@host' }
    await here.until(second, ({ percent }) => percent === 50)
    const told = here.audit.filter(({ action }) => action === 'pause').map(({ reason }) => reason)
    expect(told).toEqual([
      expect.stringMatching(/^paused by ann@host; it rolls back all the same/),
      'the pause was ended by bob@host',
    ])
  })

  test('before the first step holds that too, and never a rollback', async () => {
    const here = world(2)
    const guard = here.guard(PLAN)
    here.order = { kind: 'pause', who: 'ann@host' }
    await here.run(guard, 120)
    expect(here.percent).toBe(0)
    here.order = { kind: 'promote', to: 10, who: 'ann@host' }
    await here.run(guard, 60)
    // Ordered, so it is done; the pause stays.
    expect(here.percent).toBe(10)
    expect(guard.status.paused?.who).toBe('ann@host')
    here.on.failed = 0.3
    await here.until(guard, ({ phase }) => phase === 'rolled back')
    expect(guard.status.paused).toBeUndefined()
  })
})

describe('a promotion', () => {
  test('takes the next step at once, once, without proof and without an approval', async () => {
    const here = world(3)
    const guard = here.guard(
      `${PLAN.slice(0, -1)}, hold: 1h, advance: ask }`.replace('hold: 5s, ', ''),
    )
    await here.run(guard, 3)
    here.order = { kind: 'promote', to: 10, who: 'ann@host' }
    await here.run(guard, 1)
    expect(here.percent).toBe(10)
    expect(here.find('advance')?.reason).toMatch(/^promoted by ann@host, without waiting for proof/)
    await here.run(guard, 30)
    here.order = { kind: 'promote', to: 50, who: 'ann@host' }
    await here.run(guard, 60)
    expect(here.percent).toBe(50)
  })

  test('is refused, with the reason, for a step that is not the next, and while an alarm holds', async () => {
    const here = world(4)
    const guard = here.guard(PLAN.replace('hold: 5s', 'hold: 1h'))
    await here.until(guard, ({ percent }) => percent === 10)
    here.order = { kind: 'promote', to: 100, who: 'ann@host' }
    await here.run(guard, 1)
    here.edited = 'entries swapped'
    here.order = { kind: 'promote', to: 50, who: 'ann@host' }
    await here.run(guard, 1)
    expect(here.percent).toBe(10)
    const held = here.audit.filter(({ action }) => action === 'hold').map(({ reason }) => reason)
    expect(held[0]).toBe('not promoted to 100 %: 50 % is next')
    expect(held[1]).toMatch(/^not promoted to 50 %: the file was edited by hand/)
  })

  test('does not keep a proven harm from being rolled back', async () => {
    const here = world(5)
    const guard = here.guard(PLAN.replace('hold: 5s', 'hold: 1h'))
    await here.until(guard, ({ percent }) => percent === 10)
    here.on.failed = 0.3
    for (let second = 0; here.percent > 0 && second < 200; second++) {
      here.second()
      const answer = guard.status.verdict?.answer
      if (answer === 'regressed') here.order = { kind: 'promote', to: 50, who: 'ann@host' }
      await guard.tick()
    }
    expect(here.changes).toEqual(['10', '0'])
  })
})

describe('a resume of a guard that runs', () => {
  test('begins again with no evidence, once the new side can be reached, and is told', async () => {
    const here = world(6)
    const guard = here.guard(PLAN)
    await here.until(guard, ({ percent }) => percent === 10)
    // Of a guard that acts there is nothing to resume.
    here.order = { kind: 'resume', who: 'ann@host' }
    await here.run(guard, 1)
    expect([guard.status.epoch, guard.status.phase]).toEqual([1, 'step'])
    here.on.failed = 0.3
    await here.until(guard, ({ phase }) => phase === 'rolled back')
    here.on.failed = 0.0005
    here.out = { replica: 0, since: here.now }
    here.order = { kind: 'resume', who: 'ann@host' }
    await here.run(guard, 1)
    expect(guard.status.phase).toBe('rolled back')
    expect(here.audit.findLast(({ action }) => action === 'hold')?.reason).toMatch(
      /^not resumed by ann@host: \S+ cannot be reached from/,
    )
    here.out = undefined
    here.order = { kind: 'resume', who: 'ann@host' }
    await here.run(guard, 1)
    expect(guard.status).toMatchObject({ phase: 'step', percent: 10, epoch: 2, reason: '' })
    expect(here.audit.findLast(({ action }) => action === 'epoch')?.reason).toMatch(
      /^epoch 2: begun by ann@host after the rollback of \d\d:\d\d \(worse than tolerated: failed .*\); evidence begins at nothing; of 2 attempts/,
    )
    // The old evidence takes nobody back.
    await here.until(guard, ({ percent }) => percent === 50, 600)
    expect(here.changes).toEqual(['10', '0', '10', '50'])
  })

  test('after an edit by hand it takes over at the share that the person set', async () => {
    const here = world(7)
    const guard = here.guard(PLAN)
    await here.until(guard, ({ percent }) => percent === 10)
    here.percent = 20
    await here.until(guard, ({ phase }) => phase === 'yielded')
    here.order = { kind: 'resume', who: 'ann@host' }
    await here.until(guard, ({ percent }) => percent === 50, 600)
    expect(here.find('epoch')?.reason).toMatch(/begun by ann@host after it yielded/)
  })
})

test('orders reach the guard that runs, by another process', async () => {
  const { file, flagd, plan: text, share } = await deploy(0)
  const plan = join(file, '..', 'rollout.yaml')
  await writeFile(
    plan,
    text.replace('hold: 1s', 'hold: 1h').replace('baselineTime: 0s', 'baselineTime: 1h'),
  )
  expect(await run(['--file', file, '--pause'])).toMatchObject({
    code: 1,
    stderr: 'no guard runs for use-redis; nothing was ordered\n',
  })
  const stop = new AbortController()
  const texts: string[] = []
  let other: Promise<unknown> | undefined
  const running = run(
    ['--file', file, '--flagd', flagd, '--plan', plan],
    (line) => {
      texts.push(line)
      other ??= (async () => {
        let order = await run(['--file', file, '--promote'])
        // Nothing is published before the first poll is over.
        while (order.code !== 0) order = await run(['--file', file, '--promote'])
        return order
      })()
      if (line.includes('advance')) stop.abort()
    },
    AbortSignal.any([stop.signal, AbortSignal.timeout(20_000)]),
  )
  expect((await running).code).toBe(0)
  expect(await other).toMatchObject({
    code: 0,
    stdout: 'guard of ann@host moves to 10 % at its next look\n',
  })
  expect(await share()).toBe(0.1)
  expect((await run(['--file', file, '--pause', '--promote'])).code).toBe(2)
})

describe('a guard that cannot act says so at the start, and exits 2', () => {
  test('a ConfigMap, which would undo its edits', async () => {
    const { file, flagd, metrics } = await deploy(0)
    const mount = await directory()
    await mkdir(join(mount, '..2026'))
    await writeFile(join(mount, '..2026', 'use-redis.json'), await readFile(file, 'utf8'))
    await symlink('..2026', join(mount, '..data'))
    await symlink('..data/use-redis.json', join(mount, 'use-redis.json'))
    const projected = join(mount, 'use-redis.json')
    const options = ['--file', projected, '--flagd', flagd, '--metrics', metrics]
    const { code, stderr } = await run(options)
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/^error: the guard could not roll use-redis back: .* ConfigMap/),
    ])
    // One that only reports has nothing to write.
    const stop = new AbortController()
    const look = await run(
      [...options, '--dry-run'],
      (text) => {
        if (text.includes('start')) stop.abort()
      },
      stop.signal,
    )
    expect(look.code).toBe(0)
  })

  test.skipIf(process.getuid?.() === 0)('a directory without the right to write', async () => {
    const { file, flagd, metrics } = await deploy(0)
    await chmod(join(file, '..'), 0o555)
    const { code, stderr } = await run(['--file', file, '--flagd', flagd, '--metrics', metrics])
    await chmod(join(file, '..'), 0o755)
    expect([code, stderr]).toEqual([2, expect.stringMatching(/could not roll use-redis back/)])
  })

  test('no process answers; in the middle of a rollout that is an alarm instead', async () => {
    const deployment = await deploy(0)
    const { file, flagd } = deployment
    const gone = 'http://127.0.0.1:1/metrics'
    const plan = join(file, '..', 'rollout.yaml')
    await writeFile(plan, deployment.plan.replace(deployment.metrics, gone))
    const start = (): ReturnType<typeof run> => {
      const stop = new AbortController()
      return run(
        ['--file', file, '--flagd', flagd, '--plan', plan],
        (text) => {
          if (text.includes('start')) stop.abort()
        },
        AbortSignal.any([stop.signal, AbortSignal.timeout(20_000)]),
      )
    }
    const { code, stderr } = await start()
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/the guard has no metrics to begin with: 127\.0\.0\.1:1 refuses/),
    ])
    await writeFile(plan, deployment.plan)
    expect((await start()).code).toBe(0)
    await writeFile(plan, deployment.plan.replace(deployment.metrics, gone))
    expect((await start()).code).toBe(0)
  })
})
