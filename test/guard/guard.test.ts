import { afterEach, describe, expect, test } from 'vitest'
import { type GuardState, type GuardStatus, viewOf } from '../../src/guard/index.ts'
import { fromFirst } from '../../src/guard/act/state-store.ts'
import { Alarms } from '../../src/guard/status/alarms.ts'
import { World } from './world.ts'

const worlds: World[] = []
function world(seed = 1, replicas = 1): World {
  const made = new World(seed, replicas)
  worlds.push(made)
  return made
}
afterEach(() => {
  for (const made of worlds.splice(0)) made.close()
})

/** Begins at a share of its own, with the baseline already taken. */
async function atStep(made: World, plan = '', percent = 25): ReturnType<typeof begin> {
  return begin(made, plan, percent)
}
async function begin(
  made: World,
  plan: string,
  percent: number,
): Promise<ReturnType<World['guard']>> {
  made.percent = percent
  const guard = made.guard(plan)
  await made.until(guard, ({ phase }) => phase === 'step', 60)
  return guard
}

describe('a rollout', () => {
  test('of a healthy side goes through all its steps to the end', async () => {
    const made = world(1, 1)
    const guard = made.guard('')
    await made.until(guard, ({ phase }) => phase === 'finished', 3000)
    expect(made.changes).toEqual(['1', '5', '10', '25', '50', '100'])
    expect(made.audit.every(({ action }) => action !== 'alarm')).toBe(true)
    const steps = made.audit.filter(({ action }) => action === 'advance')
    expect(steps[0]?.reason).toContain('late is above 25 ms')
    expect(steps.at(-1)).toMatchObject({ from: 50, to: 100, confirmed: true, servedMs: 40 })
    const numbers = steps.at(-1)?.numbers?.[0]
    expect(numbers).toMatchObject({
      metric: 'failed',
      harmThreshold: 5.704,
      safetyThreshold: 2.996,
    })
    expect(numbers?.safety).toBeGreaterThan(2.996)
    expect(JSON.parse(JSON.stringify(made.audit))).toEqual(made.audit)
  }, 30_000)

  test('without traffic it says what it waits for, at what rate, and what is missing', async () => {
    const made = world(3)
    made.perSecond = 0
    const guard = made.guard('')
    const said = (): string => viewOf(guard.status).sentence
    await made.run(guard, 20)
    expect(said()).toMatch(
      /^at 0 %, next 1 %: the baseline of the old side is being taken: 0 of 3000 operations counted for the metric failed \(degraded, repeat-misses too\); no operations on either side for (19|20) s: the app has no traffic \(switchback start sends some\), or these are not its metrics \(--metrics\)$/,
    )
    made.perSecond = 50
    await made.run(guard, 20)
    expect(said()).toMatch(
      / 1\d\d\d of 3000 operations counted for the metric failed .* too\), about \d+ (s|min) at \d\d\/s$/,
    )
    made.perSecond = 2000
    await made.run(guard, 3)
    expect(said()).not.toContain('of 3000')
    await made.until(guard, ({ phase }) => phase === 'step', 60)
    made.perSecond = 0
    await made.run(guard, 125)
    expect(guard.status.verdict?.answer).toBe('starved')
    expect(said()).toMatch(
      /^at 1 %, next 5 %: failed 0 of \d+ \(degraded, repeat-misses too\) cannot be decided: no operations on either side for (59|60) s: the app has no traffic/,
    )
  })

  test('a baseline that has its operations says how long it lasts', async () => {
    const made = world(4)
    const guard = made.guard('baselineTime: 2m')
    await made.run(guard, 30)
    expect(viewOf(guard.status).sentence).toMatch(
      /^at 0 %, next 1 %: the baseline of the old side is being taken: it lasts (90|91) s more$/,
    )
  })

  test.each([
    ['failed', 0.02],
    ['fellBack', 0.06],
    ['slow', 0.06],
    ['repeatMisses', 0.2],
  ] as const)('goes back when %s rise', async (metric, rate) => {
    const made = world(2)
    const guard = await atStep(made)
    await made.run(guard, 30)
    made.on[metric] = rate
    expect(await made.until(guard, ({ phase }) => phase === 'rolled back')).toBeLessThan(60)
    expect(made.percent).toBe(0)
    const entry = made.find('rollback')
    expect(entry).toMatchObject({ from: 25, to: 0, confirmed: true })
    expect(entry?.reason).toMatch(
      /^worse than tolerated: .* % on the new side, .* % on the old side, in \d+ slots within .* s/,
    )
    const status = await made.run(guard, 20)
    expect(status).toMatchObject({ phase: 'rolled back', percent: 0 })
    expect(made.changes).toEqual(['0'])
  })

  test('far above what is allowed, it does not say that it is close to it', async () => {
    const made = world(2)
    const guard = await atStep(made)
    made.on.fellBack = 0.2
    const said: string[] = []
    await made.until(guard, (status) => {
      said.push(viewOf(status).sentence)
      return status.phase === 'rolled back'
    })
    expect(said.join('\n')).not.toMatch(/a little worse|close to/)
    expect(said.join('\n')).toContain(
      'the new side is worse, by about as much as is allowed or by more',
    )
  })

  test('an outage is taken back within seconds', async () => {
    const made = world(3)
    const guard = await atStep(made, '', 5)
    await made.run(guard, 20)
    made.on.failed = 1
    expect(await made.until(guard, ({ phase }) => phase === 'rolled back')).toBeLessThanOrEqual(6)
  })

  test('one pause of the new side of a third of a second ends nothing, and is told', async () => {
    const made = world(3)
    const guard = await atStep(made)
    await made.run(guard, 20)
    for (const [how, metric] of [
      ['fellBack', 'degraded'],
      ['failed', 'failed'],
    ] as const) {
      made.on[how] = 0.3
      await made.run(guard, 1)
      made.on[how] = 0.0005
      await made.run(guard, 60)
      expect(made.audit.findLast(({ action }) => action === 'incident')?.reason).toMatch(
        new RegExp(
          `^\\d+ operations ${metric} within 1 s; one incident proves nothing \\(harm so far [\\d.]+ %, allowed [\\d.]+ %\\)$`,
        ),
      )
    }
    expect(made.find('rollback')).toBeUndefined()
    expect(guard.status.incidents).toHaveLength(2)
  })

  test('errors that hit both sides are no regression, and hold nobody for ever', async () => {
    const made = world(4)
    const guard = await atStep(made)
    for (let burst = 0; burst < 20; burst++) {
      made.on.failed = made.off.failed = burst % 4 === 0 ? 0.05 : 0.0005
      await made.run(guard, 6)
    }
    made.on.failed = made.off.failed = 0.0005
    expect(made.find('rollback')).toBeUndefined()
    await made.until(guard, ({ percent }) => percent > 25)
  })

  test('a replica that was sick: the alarm ends soon after it is well, and when it was is kept', async () => {
    const made = world(6, 3)
    const guard = await atStep(made, 'hold: 2h')
    const alarms = (): string[] => guard.status.alarms.map(({ code }) => code)
    await made.run(guard, 30)
    expect(viewOf(guard.status).ended).toEqual([])
    made.sick = { replica: 1, side: 'off', failed: 0.2 }
    await made.until(guard, () => alarms().includes('replica-disagrees'), 30)
    await made.run(guard, 60)
    expect(alarms()).toEqual(['replica-disagrees'])
    made.sick = undefined
    expect(await made.until(guard, () => alarms().length === 0, 600)).toBeLessThan(30)
    await made.run(guard, 60)
    expect(alarms()).toEqual([])
    expect(viewOf(guard.status).ended).toEqual([
      expect.stringMatching(
        /^replica-disagrees: app-1:9464 fails .* \(over: \d\d:\d\d:\d\d to \d\d:\d\d:\d\d UTC\)$/,
      ),
    ])
    // It is on again while it is sick again, and is not over then.
    made.sick = { replica: 1, side: 'off', failed: 0.2 }
    await made.until(guard, () => alarms().includes('replica-disagrees'), 60)
    expect(viewOf(guard.status).ended).toEqual([])
  })

  test('alarms that are over are kept for half an hour, each code once', async () => {
    const alarms = new Alarms(async () => {})
    for (const at of [1000, 5000]) {
      await alarms.set('limit', `at ${at}`, at)
      await alarms.set('limit', '', at + 2000)
    }
    const last = { code: 'limit', message: 'at 5000', since: 5000, until: 7000 }
    expect(alarms.ended(8000)).toEqual([last])
    expect(alarms.ended(7001 + 30 * 60_000)).toEqual([])
  })

  test('a replica that restarts, comes or goes changes nothing', async () => {
    const made = world(5, 3)
    const guard = await atStep(made)
    for (let i = 0; i < 10; i++) {
      made.restart(i % 3)
      await made.run(guard, 5)
    }
    expect(made.find('rollback')).toBeUndefined()
    expect(guard.status.disagreements).toEqual([])
  })
})

describe('a plan', () => {
  test('that asks for users holds until so many were seen', async () => {
    const made = world(21, 1)
    const guard = await atStep(made, 'users: 5000')
    await made.run(guard, 130)
    expect([made.percent, made.find('hold')?.reason]).toEqual([
      25,
      expect.stringMatching(/^\d+ of 5000 users seen on the new side$/),
    ])
    const fewer = world(21, 1)
    await fewer.until(await atStep(fewer, 'users: 500'), ({ percent }) => percent === 50, 300)
  })
})

describe('people', () => {
  test('who edit the split win: the guard yields, says so, and still warns', async () => {
    const made = world(6)
    const guard = await atStep(made)
    made.percent = 40
    await made.run(guard, 2)
    expect(guard.status).toMatchObject({ phase: 'yielded', percent: 40 })
    expect(made.find('yield')?.reason).toContain('somebody set 40 % where the guard expected 25 %')
    made.on.failed = 0.5
    await made.until(guard, ({ alarms }) => alarms.some(({ code }) => code === 'regressed'), 30)
    expect(made.changes).toEqual([])
    expect(made.percent).toBe(40)
  })

  test('make a yielded guard act again by resuming it', async () => {
    const made = world(7)
    const first = await atStep(made)
    made.percent = 30
    await made.run(first, 2)
    await first.close()
    const still = made.guard('')
    await made.run(still, 2)
    expect(still.status.phase).toBe('yielded')
    await still.close()
    const resumed = made.guard('', { resume: true })
    await made.until(resumed, ({ phase }) => phase === 'step', 60)
    expect(resumed.status.percent).toBe(30)
    await made.until(resumed, ({ percent }) => percent === 50)
  })

  test.each([
    ['baseline', 3],
    ['step', 60],
  ] as const)(
    'make it act where a share was set in its %s while no guard ran',
    async (phase, seconds) => {
      const made = world(7)
      made.percent = 10
      const first = made.guard('')
      await made.run(first, seconds)
      expect(first.status.phase).toBe(phase)
      await first.close()
      made.percent = 30
      const still = made.guard('')
      await made.run(still, 1)
      expect(still.status.phase).toBe('yielded')
      await still.close()
      made.saved = JSON.stringify({ ...JSON.parse(made.saved!), phase, percent: 10, stoppedAt: 0 })
      const resumed = made.guard('', { resume: true })
      await made.until(resumed, ({ percent }) => percent === 50)
      const began = made.audit.findLast(({ action }) => action === 'epoch')
      expect(began?.reason).toContain('by --resume after the share was set by hand while no guard')
    },
  )

  test('approve steps when the plan asks; a rollback never asks', async () => {
    const made = world(8, 1)
    const guard = await atStep(made, 'advance: ask')
    await made.until(guard, ({ awaiting }) => awaiting === 50)
    made.approval = 100
    await made.run(guard, 30)
    expect(made.percent).toBe(25)
    expect(made.audit.filter(({ action }) => action === 'ask')).toHaveLength(1)
    made.approval = 50
    await made.run(guard, 1)
    expect(guard.status).toMatchObject({ percent: 50, awaiting: undefined })
    // One that was left before it asked is none.
    made.approval = 100
    await made.until(guard, ({ awaiting }) => awaiting === 100)
    await made.run(guard, 30)
    expect([made.percent, made.approval]).toEqual([50, undefined])
    made.on.failed = 0.5
    await made.until(guard, ({ phase }) => phase === 'rolled back', 20)
  })

  test('see with a dry run what would be done, and nothing is', async () => {
    const made = world(9)
    made.percent = 25
    const guard = made.guard('', { dryRun: true })
    await made.until(guard, () => made.find('advance') !== undefined)
    made.on.failed = 0.3
    await made.until(guard, () => made.find('rollback') !== undefined, 60)
    await made.run(guard, 10)
    expect(made.audit.filter(({ action }) => action === 'rollback')).toHaveLength(1)
    expect(made.audit.every(({ dryRun }) => dryRun)).toBe(true)
    expect([made.changes, made.saved, made.holder]).toEqual([[], undefined, undefined])
  })
})

describe('a new side that cannot be reached', () => {
  test('is an alarm with the replica and the time, and no step is taken until it can', async () => {
    const made = world(22, 2)
    const guard = await atStep(made)
    made.out = { replica: 1, since: made.now }
    await made.run(guard, 200)
    const [alarm] = guard.status.alarms
    expect(alarm?.code).toBe('side-out')
    expect(alarm?.message).toMatch(
      /^redis cannot be reached from app-1:9464 since \d\d:\d\d:\d\d UTC \(breaker open; /,
    )
    expect(made.changes).toEqual([])
    made.out = undefined
    await made.until(guard, ({ percent }) => percent === 50)
  })

  test('is no side to begin again on, unless it is forced', async () => {
    const made = world(23, 2)
    const first = await atStep(made)
    made.on.failed = 1
    await made.until(first, ({ phase }) => phase === 'rolled back')
    await first.close()
    made.out = { replica: 0, since: made.now - 60_000 }
    await expect(made.guard('', { resume: true }).tick()).rejects.toMatchObject({
      code: 'SB_GUARD_SIDE_OUT',
      message: expect.stringMatching(
        /^redis cannot be reached from app-0:9464 since .*; not beginning$/,
      ),
    })
    const forced = made.guard('', { resume: true, force: true })
    await forced.tick()
    expect(forced.status).toMatchObject({ phase: 'baseline', epoch: 2 })
  })
})

describe('beginning again', () => {
  test('after a rollback whose cause is gone it goes to the end, and says which attempt it is', async () => {
    const made = world(24)
    const first = await atStep(made)
    await made.run(first, 20)
    made.on.failed = 1
    await made.until(first, ({ phase }) => phase === 'rolled back')
    await first.close()
    made.on.failed = 0.0005
    made.changes.length = 0
    const again = made.guard('', { resume: true })
    await made.until(again, ({ phase }) => phase === 'finished', 3000)
    expect(made.changes).toEqual(['1', '5', '10', '25', '50', '100'])
    expect(made.find('epoch')?.reason).toMatch(
      /^epoch 2: begun by --resume after the rollback of \d\d:\d\d \(worse than tolerated: .*\); evidence begins at nothing; of 2 attempts of a healthy rollout at most 2 % are taken back$/,
    )
    expect(made.audit.at(-1)).toMatchObject({ epoch: 2 })
  }, 30_000)

  test('what a step takes is foretold by the traffic that was seen, and the last step is no first one', async () => {
    const made = world(24)
    const first = await atStep(made)
    made.on.failed = 1
    await made.until(first, ({ phase }) => phase === 'rolled back')
    await first.close()
    made.on.failed = 0.0005
    await made.run(made.guard('', { resume: true }), 2)
    const advanced = made.audit.findLast(({ action }) => action === 'advance')
    expect(advanced?.reason).toMatch(/^the baseline of the old side is known; late is above 25 ms$/)

    const slow = world(24)
    slow.perSecond = 1
    const guard = slow.guard('steps: [1, 100]\nbaseline: 100')
    await slow.until(guard, ({ percent }) => percent === 1, 300)
    expect(slow.find('advance')?.reason).toMatch(
      /; at this traffic a step of 1 % takes about \d+ (h|days)$/,
    )
  })

  test('while the fault is still there it goes back again, and not on what was seen before', async () => {
    const made = world(25)
    const first = await atStep(made)
    made.on.failed = 1
    await made.until(first, ({ phase }) => phase === 'rolled back')
    await first.close()
    const again = made.guard('', { resume: true, from: 10 })
    await made.until(again, ({ phase }) => phase === 'step', 60)
    expect(again.status.percent).toBe(10)
    const seconds = await made.until(again, ({ phase }) => phase === 'rolled back', 30)
    expect(seconds).toBeGreaterThan(2)
    expect(seconds).toBeLessThanOrEqual(8)
  })

  test('with another plan is told line by line; a metric that is another begins at nothing', async () => {
    const made = world(26)
    const first = await atStep(made)
    await made.run(first, 30)
    await first.close()
    const second = made.guard('{ hold: 2m, metrics: { degraded: { late: 100ms } } }')
    await made.run(second, 1)
    const told = made.audit.filter(({ action }) => action === 'plan').map(({ reason }) => reason)
    expect(told).toEqual([
      'hold is now 2 min (was 60 s)',
      'degraded.late is now 100 ms (was 25 ms)',
    ])
    expect(made.find('epoch')?.reason).toBe(
      'epoch 2: another measure of degraded: its evidence and baseline begin at nothing',
    )
    expect(second.status).toMatchObject({ phase: 'step', percent: 25 })
    expect(second.status.verdict?.reason).toMatch(
      /baseline of the old side is being taken: \d+ of \d+ operations counted for the metric degraded/,
    )
    await made.until(second, ({ percent }) => percent === 50)
  })

  test('with a state of the first edition keeps its place and says once that evidence begins anew', async () => {
    const made = world(27)
    const first = await atStep(made)
    await first.close()
    const { flag, phase, percent, savedAt } = JSON.parse(made.saved!) as GuardState
    const old = { version: 1, flag, phase, percent, reason: '', savedAt, slowBoundS: 0.025 }
    made.saved = JSON.stringify(fromFirst(old as unknown as GuardState))
    for (let i = 0; i < 2; i++) {
      const next = made.guard('')
      await made.run(next, 40)
      expect(next.status).toMatchObject({ phase: 'step', percent: 25 })
      await next.close()
    }
    const said = made.audit.filter(({ action }) => action === 'epoch')
    expect(said.map(({ reason }) => reason)).toEqual([
      'epoch 1: the state is of an older version; evidence begins at nothing',
    ])
  })

  test('from nothing, when it is told to forget', async () => {
    const made = world(28)
    const first = await atStep(made)
    made.on.failed = 1
    await made.until(first, ({ phase }) => phase === 'rolled back')
    await first.close()
    const next = made.guard('', { forget: true })
    await next.tick()
    expect(next.status).toMatchObject({ phase: 'baseline', epoch: 1 })
    expect(made.find('epoch')?.reason).toContain('all that was known is forgotten')
  })
})

describe('blindness', () => {
  test('no metrics: nothing advances, an alarm after 30 s, and by default nobody is moved', async () => {
    const made = world(10, 2)
    const guard = await atStep(made)
    made.down.add(0).add(1)
    await made.run(guard, 29)
    expect(guard.status).toMatchObject({ sight: 'waiting', alarms: [] })
    await made.run(guard, 3)
    expect(guard.status.alarms[0]).toMatchObject({ code: 'metrics-lost' })
    expect(guard.status.alarms[0]?.message).toContain('app-0:9464 refuses the connection')
    await made.run(guard, 700)
    expect(guard.status).toMatchObject({ sight: 'lost', percent: 25, phase: 'step' })
    made.down.clear()
    await made.run(guard, 3)
    expect(guard.status.alarms).toEqual([])
    expect(made.find('clear')?.reason).toContain('metrics-lost')
  })

  test('no metrics for long goes back when the plan says so', async () => {
    const made = world(11, 2)
    const guard = await atStep(made, 'lost: { giveUpAfter: 2m, then: rollback }')
    made.down.add(0).add(1)
    const seconds = await made.until(guard, ({ phase }) => phase === 'rolled back', 200)
    expect(seconds).toBeGreaterThanOrEqual(120)
    expect(made.find('rollback')?.reason).toContain('metrics have been lost')
  })

  test('one silent replica of three is named and stops nobody', async () => {
    const made = world(12, 3)
    const guard = await atStep(made)
    made.down.add(1)
    await made.run(guard, 40)
    expect(guard.status.alarms).toMatchObject([{ code: 'replica-silent' }])
    expect(guard.status.alarms[0]?.message).toContain('app-1:9464')
    await made.until(guard, ({ percent }) => percent === 50)
  })

  test('one heard of three that are named: nothing begins, whoever answers, and an alarm says so', async () => {
    const made = world(13, 3)
    made.named = [0, 1, 2].map((index) => `app-${index}:9464`)
    made.down.add(1).add(2)
    const guard = made.guard('steps: [25, 50, 100]\nbaseline: 100\nbaselineTime: 5s')
    await made.run(guard, 120)
    expect(guard.status).toMatchObject({ percent: 0, phase: 'baseline' })
    expect(guard.status.alarms).toMatchObject([{ code: 'metrics-lost' }])
    expect(guard.status.alarms[0]?.message).toMatch(
      /^metrics of 1 of 3 replicas only for \d+ s \(.*app-2:9464 refuses the connection\)$/,
    )
    made.down.delete(1)
    await made.until(guard, ({ percent }) => percent === 25)
    expect(guard.status.alarms).toMatchObject([{ code: 'replica-silent' }])
    expect(guard.status.alarms[0]?.message).toContain('app-2:9464')
  })

  test('a replica that the plan no longer names is not missed by the next start', async () => {
    const made = world(13, 3)
    made.named = [0, 1, 2].map((index) => `app-${index}:9464`)
    made.down.add(1).add(2)
    const first = made.guard('replicas: [http://app-0:9464, http://app-1:9464, http://app-2:9464]')
    await made.run(first, 40)
    expect(first.status.alarms).toMatchObject([{ code: 'metrics-lost' }])
    await first.close()
    for (const gone of made.replicas.splice(1)) gone.close()
    made.named = ['app-0:9464']
    const next = made.guard('replicas: [http://app-0:9464]')
    await made.run(next, 2)
    expect(next.status).toMatchObject({ alarms: [], sight: 'seeing' })
  })

  const mismatched = ({ alarms }: GuardStatus): boolean =>
    alarms.some(({ code }) => code === 'share-mismatch')

  /** The file and flagd agree, the applications serve 15 %. Returns what mends them. */
  function serveWrongly(made: World): () => void {
    const second = made.second.bind(made)
    made.stuck = true
    made.second = () => {
      made.served = 15
      second()
      made.served = made.percent
    }
    return () => {
      made.second = second
      made.stuck = false
    }
  }

  test('a share seen that is not the share set is an alarm and holds, until it is right again', async () => {
    const made = world(13, 1)
    const guard = await atStep(made, 'hold: 5m')
    const mend = serveWrongly(made)
    await made.until(guard, mismatched, 400)
    const { since, message } = guard.status.alarms[0]!
    const said = /^(\d+) of (\d+) users are on the new side, at a share of 25 %$/.exec(message)
    expect(Number(said?.[1]) / Number(said?.[2])).toBeCloseTo(0.15, 1)
    await made.run(guard, 400)
    expect(guard.status.alarms).toMatchObject([{ code: 'share-mismatch', since }])
    expect(made.changes).toEqual([])
    mend()
    await made.until(guard, (status) => !mismatched(status), 300)
    await made.until(guard, ({ percent }) => percent === 50)
    expect(made.find('clear')?.reason).toContain('share-mismatch')
  })

  test('with a pilot in front of the split, another share is just what is to be expected', async () => {
    const made = world(13, 1)
    const guard = await atStep(made, 'hold: 5m')
    serveWrongly(made)
    await made.until(guard, mismatched, 400)
    made.plain = false
    await made.run(guard, 2)
    expect(mismatched(guard.status)).toBe(false)
  })

  test('a flagd that does not serve the file is an alarm and holds', async () => {
    const made = world(14, 1)
    const guard = await atStep(made)
    made.stuck = true
    await made.until(guard, ({ percent }) => percent === 50)
    await made.run(guard, 1)
    expect(guard.status.alarms.map(({ code }) => code)).toContain('not-served')
    // Twice as long as a step is held at least.
    await made.run(guard, 120)
    expect(made.percent).toBe(50)
    made.stuck = false
    await made.until(guard, ({ alarms }) => alarms.length === 0, 60)
  })

  test('an edit by hand that moved users who should have stayed is an alarm and holds', async () => {
    const made = world(14, 1)
    const guard = await atStep(made)
    made.edited = 'of 1,000 sample users 480 left the new side although its share did not change'
    const { percent } = await made.run(guard, 120)
    expect(guard.status.alarms).toMatchObject([
      { code: 'edited', message: expect.stringContaining('480 left the new side') },
    ])
    expect(made.percent).toBe(percent)
    const held = made.changes.length
    made.edited = ''
    await made.until(guard, ({ alarms }) => alarms.length === 0, 5)
    await made.until(guard, () => made.changes.length > held, 600)
  })

  test('harm on both sides breaks an absolute limit', async () => {
    const made = world(15)
    const limit = 'value: \'switchback_event_loop_delay_seconds{quantile="0.99"}\', above: 0.2'
    const plan = `limits: [{ ${limit}, for: 10s, then: rollback }]`
    const guard = await atStep(made, plan)
    made.eventLoopDelay = 0.4
    const seconds = await made.until(guard, ({ phase }) => phase === 'rolled back', 30)
    expect(seconds).toBeGreaterThanOrEqual(10)
    expect(guard.status.alarms.map(({ code }) => code)).toContain('limit')
  })
})

describe('accidents', () => {
  test('killed and started again, it goes on with its evidence', async () => {
    const made = world(16)
    const first = await atStep(made)
    await made.run(first, 40)
    made.on.failed = 0.004
    await made.until(first, ({ verdict }) => (verdict?.metrics[0]?.harm.logEvidence ?? 0) > 3, 60)
    made.on.failed = 0.0005
    // The state is saved every so often.
    await made.run(first, 15)
    const before = first.status.verdict?.metrics[0]?.harm.logEvidence ?? 0
    expect(before).toBeGreaterThan(0.5)
    const second = made.guard('')
    await made.run(second, 1)
    expect(second.status.phase).toBe('step')
    const after = second.status.verdict?.metrics[0]
    expect(after?.harm.logEvidence).toBeGreaterThan(before / 4)
    expect(after?.control.total).toBeGreaterThan(5000)
  })

  test('killed between its edit and the note of it, it does not yield to itself', async () => {
    const made = world(17)
    const first = await atStep(made)
    await made.until(first, () => {
      const intent = made.saved === undefined ? undefined : JSON.parse(made.saved).intent
      return intent === undefined && made.percent === 25
    })
    const state = JSON.parse(made.saved!) as Record<string, unknown>
    made.saved = JSON.stringify({ ...state, percent: 25, intent: 50 })
    made.percent = 50
    const second = made.guard('')
    await made.run(second, 3)
    expect(second.status).toMatchObject({ percent: 50, phase: 'step' })
    expect(made.find('yield')).toBeUndefined()
  })

  test('two guards: one acts, the other takes over when it is gone', async () => {
    const made = world(18)
    made.percent = 25
    const [first, second] = [made.guard(''), made.guard('', { name: 'second' })]
    await made.run(first, 5)
    expect((await second.tick()).standbyFor).toBe('first')
    await first.close()
    expect((await second.tick()).standbyFor).toBe('')
  })

  test('a rollback that fails is the loudest alarm, and is tried again until it works', async () => {
    const made = world(19)
    const guard = await atStep(made)
    made.failEdits = true
    made.on.failed = 0.5
    await made.until(
      guard,
      ({ alarms }) => alarms.some(({ code }) => code === 'rollback-failed'),
      20,
    )
    await made.run(guard, 5)
    expect(made.percent).toBe(25)
    made.failEdits = false
    await made.run(guard, 1)
    expect(guard.status).toMatchObject({ phase: 'rolled back', percent: 0 })
    expect(made.audit.filter(({ action }) => action === 'alarm')).toHaveLength(1)
  })

  test('a rule that it does not understand is refused at the start', async () => {
    const made = world(20)
    made.percent = undefined as unknown as number
    await expect(made.guard('').tick()).rejects.toMatchObject({ code: 'SB_GUARD_SHAPE' })
  })
})
