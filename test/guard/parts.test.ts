// The guard on real parts: a flags file, a server that speaks flagd's protocols, /metrics over HTTP.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  createGuard,
  fileLease,
  fileStore,
  guardFiles,
  leaseHolder,
  leaveApproval,
  parsePlan,
  readStatus,
} from '../../src/guard/index.ts'
import type { AuditEntry, GuardState, GuardStatus, RunningGuard } from '../../src/guard/index.ts'
import { flagStore } from '../../src/guard/act/flag-state-store.ts'
import type { FlagsPlace } from '../../src/rollout/index.ts'
import { deploy, directory } from './deployment.ts'
import type { Deployment } from './deployment.ts'
import { HUNG_MS } from '../support/until.ts'

/** Runs a guard until a status fits, and stops it. */
async function runUntil(
  deployment: Deployment,
  fits: (status: GuardStatus) => boolean,
  onStatus: (status: GuardStatus) => void = () => {},
): Promise<{ status: GuardStatus; audit: AuditEntry[] }> {
  const { file, flagd, plan } = deployment
  const audit: AuditEntry[] = []
  const guard = createGuard({
    plan: parsePlan(plan),
    flag: 'use-redis',
    file,
    flagd,
    name: 'guard@test',
    onAudit: (entry) => audit.push(entry),
  })
  const stop = new AbortController()
  const deadline = setTimeout(() => stop.abort(), HUNG_MS)
  let found: GuardStatus | undefined
  await guard.run(stop.signal, (status) => {
    onStatus(status)
    if (!fits(status)) return
    found ??= status
    stop.abort()
  })
  clearTimeout(deadline)
  if (found === undefined) throw new Error(`never: ${JSON.stringify(guard.status)}`)
  return { status: found, audit }
}

describe('on real parts', () => {
  test('it widens what flagd serves step by step, and takes it back when errors come', async () => {
    const deployment = await deploy(0)
    const { audit, status } = await runUntil(
      deployment,
      ({ phase }) => phase === 'rolled back',
      ({ percent }) => {
        if (percent === 50) deployment.errors = 0.2
      },
    )
    expect(status.percent).toBe(0)
    expect(await deployment.share()).toBe(0)
    const changes = audit.filter(({ servedMs }) => servedMs !== undefined)
    expect(changes.map(({ action, from, to }) => [action, from, to])).toEqual([
      ['advance', 0, 10],
      ['advance', 10, 50],
      ['rollback', 50, 0],
    ])
    expect(changes.every(({ confirmed }) => confirmed)).toBe(true)
    expect(audit.at(-1)).toMatchObject({ action: 'stop' })
    const files = guardFiles(deployment.file, 'use-redis')
    const lines = (await readFile(files.audit, 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(audit)
    const answer = await fetch(`${deployment.flagd}/ofrep/v1/evaluate/flags/use-redis`, {
      method: 'POST',
      body: JSON.stringify({ context: { targetingKey: 'ann' } }),
    })
    expect(await answer.json()).toMatchObject({ value: false })
    expect(await fileLease({ file: files.lease, name: 'next' }).hold()).toBe('')
  })

  test('a person who edits the file by hand is obeyed', async () => {
    const deployment = await deploy(10)
    const text = await readFile(deployment.file, 'utf8')
    let edited = false
    const { status } = await runUntil(
      deployment,
      ({ phase }) => phase === 'yielded',
      ({ phase }) => {
        if (phase !== 'step' || edited) return
        edited = true
        void writeFile(deployment.file, text.replace('10', '20').replace('90', '80'))
      },
    )
    expect(status).toMatchObject({ percent: 20 })
    expect(await deployment.share()).toBe(0.2)
  })

  test('a second guard on the same file stands by', async () => {
    const deployment = await deploy(10)
    const options = { flag: 'use-redis', file: deployment.file, flagd: false as const }
    const plan = parsePlan(deployment.plan)
    const first = createGuard({ ...options, plan, name: 'first' })
    const second = createGuard({ ...options, plan, name: 'second' })
    await first.tick()
    expect((await second.tick()).standbyFor).toBe('first')
    await first.close()
    expect((await second.tick()).standbyFor).toBe('')
    await second.close()
  })

  test('a plan without a source of metrics is refused', () => {
    const make = (): unknown =>
      createGuard({ plan: parsePlan(''), flag: 'f', file: 'x.json', name: 'n' })
    expect(make).toThrow(expect.objectContaining({ code: 'SB_PLAN_INVALID' }))
  })
})

describe('the lease', () => {
  test('goes to one of many who want it, also when it is taken from the dead', async () => {
    const file = join(await directory(), 'lease')
    let now = 1000
    const contenders = Array.from({ length: 20 }, (_, i) =>
      fileLease({ file, name: `guard-${i}`, ttlMs: 100, now: () => now }),
    )
    for (let round = 0; round < 10; round++) {
      const holders = await Promise.all(contenders.map((lease) => lease.hold()))
      expect(holders.filter((holder) => holder === '').length).toBeLessThanOrEqual(1)
      const again = await Promise.all(contenders.map((lease) => lease.hold()))
      expect(again.filter((holder) => holder === '')).toHaveLength(1)
      now += 1000
    }
    expect((await readdir(join(file, '..'))).length).toBe(1)
  })

  test('is kept by renewing, lost by silence, and given back by nobody but its holder', async () => {
    const file = join(await directory(), 'lease')
    let now = 1000
    const make = (name: string): ReturnType<typeof fileLease> =>
      fileLease({ file, name, ttlMs: 100, now: () => now })
    const [a, b] = [make('a'), make('b')]
    expect(await a.hold()).toBe('')
    now += 80
    expect(await a.hold()).toBe('')
    now += 80
    expect(await b.hold()).toBe('a')
    await b.release()
    expect(await b.hold()).toBe('a')
    now += 200
    expect(await b.hold()).toBe('')
    expect(await a.hold()).toBe('b')
    await b.release()
    expect(await a.hold()).toBe('')
  })

  test('that is torn or empty is nobody’s', async () => {
    const file = join(await directory(), 'lease')
    await writeFile(`${file}.7`, '{"token"')
    expect(await fileLease({ file, name: 'a' }).hold()).toBe('')
  })
})

describe('two flags of one file, a guard each', () => {
  /** A guard that has looked once, and what it thought. */
  async function looked(
    flag: string,
    deployment: Deployment,
  ): Promise<[GuardStatus, RunningGuard]> {
    const { file, plan } = deployment
    const name = `guard of ${flag}`
    const guard = createGuard({ plan: parsePlan(plan), flag, file, flagd: false, name })
    return [await guard.tick(), guard]
  }

  async function deployTwo(): Promise<Deployment> {
    const deployment = await deploy(10)
    const text = await readFile(deployment.file, 'utf8')
    const { flags: own } = JSON.parse(text) as { flags: Record<string, object> }
    const flags = { ...own, other: own['use-redis'] }
    await writeFile(deployment.file, JSON.stringify({ flags }, null, 2))
    return deployment
  }

  test('both act, and each is told by its own status', async () => {
    const deployment = await deployTwo()
    const [, first] = await looked('use-redis', deployment)
    const [status, second] = await looked('other', deployment)
    expect(status.standbyFor).toBe('')
    expect((await first.tick()).standbyFor).toBe('')
    for (const flag of ['use-redis', 'other']) {
      const files = guardFiles(deployment.file, flag)
      expect(await readStatus(files.status)).toMatchObject({ flag, name: `guard of ${flag}` })
      expect(await leaseHolder(files.lease)).toBe(`guard of ${flag}`)
    }
    await first.close()
    await second.close()
  })

  test('what one has taken back stays so while the other runs, also of an earlier version', async () => {
    const deployment = await deployTwo()
    // Earlier versions kept the state of either flag there.
    const before = join(deployment.file, '..', 'use-redis.guard.json')
    for (const flag of ['use-redis', 'other']) {
      const [, guard] = await looked(flag, deployment)
      await guard.close()
      const own = guardFiles(deployment.file, flag).state
      const state = JSON.parse(await readFile(own, 'utf8')) as GuardState
      const back = { ...state, phase: 'rolled back', reason: 'failed', stoppedAt: state.savedAt }
      await rm(own)
      await writeFile(before, JSON.stringify(back))
      const [, another] = await looked(flag === 'other' ? 'use-redis' : 'other', deployment)
      const [found, again] = await looked(flag, deployment)
      expect([flag, found.phase]).toEqual([flag, 'rolled back'])
      await another.close()
      await again.close()
    }
  })

  test('a state that an earlier version left is not put over a newer one', async () => {
    const path = await directory()
    const fileOf = (flag: string): string => join(path, `${flag}.json`)
    const state = { version: 2, phase: 'step' } as GuardState
    await fileStore(fileOf('f')).save({ ...state, flag: 'g', percent: 5 })
    await fileStore(fileOf('g')).save({ ...state, flag: 'g', percent: 25 })
    await flagStore({ flag: 'f', fileOf, before: fileOf('f') }).save({
      ...state,
      flag: 'f',
      percent: 1,
    })
    const g = flagStore({ flag: 'g', fileOf, before: fileOf('f') })
    expect(await g.load()).toMatchObject({ flag: 'g', percent: 25 })
    expect(await fileStore(fileOf('f')).load()).toMatchObject({ flag: 'f', percent: 1 })
  })

  test('nor do their files meet in another place, or leave the directory by their names', () => {
    const place = { beside: 'state/configmap-flags' } as FlagsPlace
    const files = ['use-redis', 'other', '../x', 'status'].map((flag) => guardFiles(place, flag))
    for (const key of ['state', 'lease', 'status'] as const) {
      expect(new Set(files.map((of) => of[key])).size).toBe(4)
      expect(files.every((of) => dirname(of[key]) === 'state')).toBe(true)
    }
  })
})

describe('the state on disk', () => {
  test('comes back as it was saved; broken, it is refused with the remedy', async () => {
    const file = join(await directory(), 'state.json')
    const store = fileStore(file)
    expect(await store.load()).toBeUndefined()
    const state = { version: 2, flag: 'f', phase: 'step', percent: 5 } as GuardState
    await store.save(state)
    expect(await store.load()).toEqual(state)
    await writeFile(file, '{"version":2,')
    await expect(store.load()).rejects.toMatchObject({ code: 'SB_GUARD_STATE_BROKEN' })
  })

  test('of the first edition keeps the place of the rollout, and none of its evidence', async () => {
    const file = join(await directory(), 'state.json')
    const old = { version: 1, flag: 'f', phase: 'step', percent: 25, slowBoundS: 0.1, judge: {} }
    await writeFile(file, JSON.stringify({ ...old, reason: '', blindness: { heard: {} } }))
    expect(await fileStore(file).load()).toMatchObject({
      version: 2,
      phase: 'step',
      percent: 25,
      epoch: 1,
      judge: undefined,
      plan: undefined,
    })
    await writeFile(file, JSON.stringify({ ...old, version: 3 }))
    await expect(fileStore(file).load()).rejects.toMatchObject({ code: 'SB_GUARD_STATE_BROKEN' })
  })

  test('an approval is taken once', async () => {
    const file = join(await directory(), 'state.json')
    const store = fileStore(file)
    expect(await store.takeApproval()).toBeUndefined()
    await leaveApproval(file, 25)
    expect(await store.takeApproval()).toBe(25)
    expect(await store.takeApproval()).toBeUndefined()
  })
})
