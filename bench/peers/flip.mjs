/** 0 -> 100 % and back with 5,000 warm users, while they read and write. */
import { setTimeout as delay } from 'node:timers/promises'
import { aim } from './report.mjs'
import { FLAG, flagsSource, openSwitch, withStage } from './stage.mjs'
import { traffic } from './traffic.mjs'

const USERS = 5000
const PER_SECOND = 1000

export const measure = () =>
  withStage(async (stage) => {
    stage.setShare(0)
    const source = await flagsSource(stage, 'rpc')
    const decider = source.createDecider({ flag: FLAG, feature: 'users' })
    stage.atEnd(() => decider.close())
    const { cache } = openSwitch(stage, { name: 'switch', decider })
    const origin = new Map()
    const acknowledged = new Map()
    let [requests, loads, stale] = [0, 0, 0]
    const load = (user) => async () => {
      loads += 1
      const version = origin.get(user) ?? 0
      await delay(5)
      return { user, version, text: 'x'.repeat(200) }
    }
    const read = async (user) => {
      requests += 1
      const expected = acknowledged.get(user) ?? 0
      const view = cache.for({ targetingKey: user })
      const { version } = await view.getOrSet(`profile/${user}`, load(user), { ttl: '10m' })
      if (version < expected) stale += 1
    }
    const write = async (user) => {
      requests += 1
      const version = (origin.get(user) ?? 0) + 1
      origin.set(user, version)
      const value = { user, version, text: 'x'.repeat(200) }
      await cache.for({ targetingKey: user }).set(`profile/${user}`, value, { ttl: '10m' })
      acknowledged.set(user, Math.max(version, acknowledged.get(user) ?? 0))
    }
    const name = (i) => `user_${(i * 7919) % USERS}`
    const operation = (i) => (i % 20 === 7 ? write : read)(name(i))
    for (let i = 0; i < USERS; i += 64) {
      await Promise.all(Array.from({ length: 64 }, (_, n) => read(name(i + n))))
    }
    const rows = []
    let failed = 0
    const phase = async (title, share) => {
      ;[requests, loads, stale] = [0, 0, 0]
      stage.setShare(share)
      const result = await traffic({ seconds: 8, perSecond: PER_SECOND, operation })
      let on = 0
      for (let i = 0; i < USERS; i += 1) {
        if ((await decider.decide({ targetingKey: name(i) })).side === 'on') on += 1
      }
      failed += result.failed
      rows.push([
        title,
        `${((on / USERS) * 100).toFixed(1)} %`,
        requests,
        loads,
        stale,
        result.failed,
      ])
      return { requests, loads, stale }
    }
    const phases = [await phase('0 -> 100 %', 100), await phase('100 -> 0 %', 0)]
    const sum = (what) => phases.reduce((total, one) => total + one[what], 0)
    const share = sum('loads') / sum('requests')
    return {
      tables: [
        {
          title: `The split turned over with ${USERS.toLocaleString('en')} warm users, ${PER_SECOND.toLocaleString('en')} requests a second, 5 % writes`,
          headings: [
            'split',
            'users on Redis afterwards',
            'requests',
            'origin loads',
            'stale',
            'failed',
          ],
          rows,
        },
      ],
      aims: [
        aim(
          'flip 0 -> 100 % and back: origin loads',
          '<= 1 % of requests',
          `${(share * 100).toFixed(2)} %`,
          share <= 0.01,
        ),
        aim('flip 0 -> 100 % and back: stale reads', '0', `${sum('stale')}`, sum('stale') === 0),
        aim('flip 0 -> 100 % and back: failed', '0', `${failed}`, failed === 0),
      ],
    }
  })
