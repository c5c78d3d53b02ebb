/** A hit on Redis: through the switch, by hand, and through the library peers. */
import { createTelemetry } from '../../dist/index.mjs'
import { compare, cpuOver, throughputShare } from '../measure.mjs'
import { openBentocache, openCacheManager } from './redis-peers.mjs'
import { openIoredis, openKeyv, openNodeRedis } from './redis-peers.mjs'
import { aim, best, costTable, named, percent, signed } from './report.mjs'
import { FLAG, flagsSource, naiveClient, openSwitch, usersOf, VALUE, withStage } from './stage.mjs'

const USERS = 1000
const BARE = 'ioredis + JSON'
const SWITCH = 'Switchback, flagd in-process'
const LIBRARIES = ['bentocache, Redis', 'cache-manager on Keyv, Redis', 'Keyv, Redis']

export const measure = ({ rounds }) =>
  withStage(async (stage) => {
    const sources = {
      rpc: await flagsSource(stage, 'rpc'),
      'in-process': await flagsSource(stage, 'in-process'),
    }
    const deciders = Object.fromEntries(
      Object.entries(sources).map(([resolver, source]) => {
        const decider = source.createDecider({ flag: FLAG, feature: 'users' })
        stage.atEnd(() => decider.close())
        return [resolver, decider]
      }),
    )
    const telemetry = createTelemetry()
    const switches = {
      [SWITCH]: openSwitch(stage, { name: 'plain', decider: deciders['in-process'] }).cache,
      'Switchback, flagd rpc': openSwitch(stage, { name: 'rpc', decider: deciders.rpc }).cache,
      'Switchback, counting': openSwitch(stage, {
        name: 'counting',
        decider: deciders['in-process'],
        telemetry,
      }).cache,
    }
    const users = await usersOf(deciders['in-process'], 'on', USERS)
    for (const user of users) await deciders.rpc.decide(user)
    const user = (i) => users[i % USERS]
    const key = (i) => `profile:${user(i).targetingKey}`

    const bare = openIoredis(stage)
    const peers = {
      'node-redis + JSON': await openNodeRedis(stage),
      [LIBRARIES[0]]: openBentocache(stage, 'L2'),
      'bentocache, memory + Redis': openBentocache(stage, 'L1 + L2'),
      [LIBRARIES[1]]: openCacheManager(stage),
      [LIBRARIES[2]]: openKeyv(stage),
    }
    const clients = {
      rpc: await naiveClient(stage, 'rpc'),
      'in-process': await naiveClient(stage, 'in-process'),
    }
    for (let i = 0; i < USERS; i += 1) {
      await bare.set(key(i), VALUE)
      for (const peer of Object.values(peers)) await peer.set(key(i), VALUE)
      for (const cache of Object.values(switches)) await cache.for(user(i)).set(key(i), VALUE)
    }
    const off = { get: () => Promise.reject(new Error('not a user of Redis')) }
    const naive = (client) => async (i) => {
      const on = await client.getBooleanValue(FLAG, false, user(i))
      return (on ? bare : off).get(key(i))
    }
    // Known users: the others' rounds outlast the memory of a decision.
    const prepare = async () => {
      for (const one of users) await deciders['in-process'].decide(one)
    }
    const load = () => Promise.reject(new Error('not a hit'))
    const gets = [
      { name: BARE, run: (i) => bare.get(key(i)) },
      ...Object.entries(switches).map(([name, cache]) => ({
        name,
        prepare,
        run: (i) => cache.for(user(i)).get(key(i)),
      })),
      { name: 'naive: SDK in-process, then ioredis', run: naive(clients['in-process']) },
      { name: 'naive: SDK rpc, then ioredis', run: naive(clients.rpc), count: 2000 },
      ...Object.entries(peers).map(([name, peer]) => ({ name, run: (i) => peer.get(key(i)) })),
    ]
    for (const { name, run } of gets) {
      const value = await run(1)
      if (value?.text !== VALUE.text) throw new Error(`${name}: not a hit`)
    }
    const getOrSets = [
      { name: BARE, run: (i) => bare.get(key(i)) },
      { name: SWITCH, prepare, run: (i) => switches[SWITCH].for(user(i)).getOrSet(key(i), load) },
      ...[LIBRARIES[0], LIBRARIES[1]].map((name) => ({
        name,
        run: (i) => peers[name].getOrSet(key(i), load),
      })),
    ]

    const many = await compare(gets, { rounds, count: 20_000, inFlight: 64 })
    const alone = await compare(
      gets.map((one) => ({ ...one, count: Math.min(one.count ?? 3000, 500) * 4 })),
      { rounds, inFlight: 1 },
    )
    const loading = await compare(getOrSets, { rounds, count: 20_000, inFlight: 64 })

    const [ours, theirs] = [named(many, SWITCH), named(many, BARE)]
    const rival = best(many, LIBRARIES, 'cpuUs')
    const quickest = best(many, LIBRARIES, 'wallUs')
    const over = cpuOver(ours, theirs)
    const share = throughputShare(ours, theirs)
    return {
      tables: [
        costTable('Hit on Redis (`get`, 1 KiB of JSON, 1,000 users), 64 in flight', many, BARE),
        costTable('The same, one at a time', alone, BARE),
        costTable('Hit on Redis by `getOrSet`, 64 in flight', loading, BARE),
      ],
      aims: [
        aim('hit on Redis: CPU over ioredis + JSON', '<= +3 us', `${signed(over)} us`, over <= 3),
        aim('hit on Redis: throughput', '>= 95 % of ioredis', percent(share), share >= 0.95),
        aim(
          'hit on Redis: ahead of every library peer (CPU)',
          `< ${rival.cpuUs.toFixed(1)} us (${rival.name})`,
          `${ours.cpuUs.toFixed(1)} us`,
          ours.cpuUs < rival.cpuUs,
        ),
        aim(
          'hit on Redis: ahead of every library peer (throughput)',
          `> ${Math.round(quickest.perSecond).toLocaleString('en')}/s (${quickest.name})`,
          `${Math.round(ours.perSecond).toLocaleString('en')}/s`,
          ours.wallUs < quickest.wallUs,
        ),
      ],
    }
  })
