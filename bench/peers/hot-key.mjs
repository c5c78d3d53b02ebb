/** 1,000 callers miss the same key at once: how often is the origin asked? */
import { setTimeout as delay } from 'node:timers/promises'
import { median } from '../measure.mjs'
import { openBentocache, openCacheManager, openIoredis, openKeyv } from './redis-peers.mjs'
import { aim } from './report.mjs'
import { FLAG, flagsSource, openSwitch, usersOf, VALUE, withStage } from './stage.mjs'

const CALLERS = 1000
const ORIGIN_MS = 20

export const measure = ({ rounds }) =>
  withStage(async (stage) => {
    const source = await flagsSource(stage, 'in-process')
    const decider = source.createDecider({ flag: FLAG, feature: 'users' })
    stage.atEnd(() => decider.close())
    const { cache } = openSwitch(stage, { name: 'switch', decider })
    const sides = { off: await usersOf(decider, 'off', 500), on: await usersOf(decider, 'on', 500) }
    const everybody = [...sides.off, ...sides.on]
    const bare = openIoredis(stage)
    const keyv = openKeyv(stage)
    const getOrSetBy = (peer) => async (key, load) =>
      (await peer.get(key)) ??
      (async () => {
        const value = await load()
        await peer.set(key, value)
        return value
      })()
    const switched = (users) => (key, load, i) =>
      cache.for(users[i % users.length]).getOrSet(key, load, { ttl: '10m' })
    const bento = openBentocache(stage, 'L2')
    const manager = openCacheManager(stage)
    const contenders = {
      'Switchback, users of files': switched(sides.off),
      'Switchback, users of Redis': switched(sides.on),
      'Switchback, users of both sides, one key': switched(everybody),
      'bentocache getOrSet, Redis': bento.getOrSet,
      'cache-manager wrap, Redis': manager.getOrSet,
      'Keyv by hand, Redis': getOrSetBy(keyv),
      'ioredis by hand': getOrSetBy(bare),
    }
    const rows = []
    const most = {}
    for (const [name, getOrSet] of Object.entries(contenders)) {
      const loads = []
      const times = []
      for (let round = 0; round < rounds; round += 1) {
        for (const user of everybody) await decider.decide(user)
        let asked = 0
        const load = async () => {
          asked += 1
          await delay(ORIGIN_MS)
          return VALUE
        }
        const key = `hot/${name}/${round}`.replaceAll(/[^\w/]/g, '')
        const started = performance.now()
        await Promise.all(Array.from({ length: CALLERS }, (_, i) => getOrSet(key, load, i)))
        times.push(performance.now() - started)
        loads.push(asked)
      }
      most[name] = Math.max(...loads)
      rows.push([name, median(loads), most[name], `${median(times).toFixed(0)} ms`])
    }
    const [files, redis] = Object.values(most)
    return {
      tables: [
        {
          title: `${CALLERS.toLocaleString('en')} concurrent misses of one key; the origin takes ${ORIGIN_MS} ms`,
          headings: ['contender', 'origin loads', 'most', 'until the last is served'],
          rows,
        },
      ],
      aims: [
        aim(
          'getOrSet on a hot key, 1,000 concurrent misses',
          '1 origin load',
          `${Math.max(files, redis)}`,
          Math.max(files, redis) === 1,
        ),
      ],
    }
  })
