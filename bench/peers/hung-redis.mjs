/** Redis stops answering (SIGSTOP): the first moments, then a minute of it, then the steady cost. */
import { compare, throughputShare } from '../measure.mjs'
import { aim, costTable, named, percent } from './report.mjs'
import { FLAG, flagsSource, openSwitch, usersOf, VALUE, withStage } from './stage.mjs'
import { quantile, traffic } from './traffic.mjs'

const USERS = 1000
const PER_SECOND = 500
const DEADLINE_MS = 100
const FILES = 'users of files'
const FALLEN_BACK = 'users of Redis, which hangs'

export const measure = ({ rounds, seconds = 60 }) =>
  withStage(async (stage) => {
    const source = await flagsSource(stage, 'in-process')
    const decider = source.createDecider({ flag: FLAG, feature: 'users' })
    stage.atEnd(() => decider.close())
    let outAt = Infinity
    const onEvent = ({ type, side }) => {
      if (type === 'side-out' && side === 'on') outAt = Math.min(outAt, performance.now())
    }
    const { cache } = openSwitch(stage, { name: 'switch', decider, onEvent })
    const users = {
      off: await usersOf(decider, 'off', USERS),
      on: await usersOf(decider, 'on', USERS),
    }
    const get = (side) => (i) => {
      const user = users[side][i % USERS]
      return cache.for(user).getOrSet(`profile/${user.targetingKey}`, () => VALUE, { ttl: '10m' })
    }
    const set = (side) => (i) => {
      const user = users[side][i % USERS]
      return cache.for(user).set(`profile/${user.targetingKey}`, VALUE, { ttl: '10m' })
    }
    /** Nine reads, one write, of both sides' users in turn. */
    const mixed = (i) => (i % 10 === 0 ? set : get)(i % 2 === 0 ? 'on' : 'off')(i * 7919)
    for (let i = 0; i < USERS; i += 1) await Promise.all([get('off')(i), get('on')(i)])
    const healthy = await traffic({ seconds: 5, perSecond: PER_SECOND, operation: mixed })

    globalThis.gc()
    const rssBefore = process.memoryUsage().rss
    let mostRss = rssBefore
    const watch = setInterval(() => {
      mostRss = Math.max(mostRss, process.memoryUsage().rss)
    }, 250)
    stage.redis.kill('SIGSTOP')
    const hung = await traffic({ seconds, perSecond: PER_SECOND, operation: mixed })
    clearInterval(watch)
    const before = hung.operations.filter(({ beganAt }) => beganAt <= outAt)
    const after = hung.operations.filter(({ beganAt }) => beganAt > outAt)
    const rssMiB = (mostRss - rssBefore) / 2 ** 20

    for (let i = 0; i < USERS; i += 1) await Promise.all([get('off')(i), get('on')(i)])
    const prepare = async () => {
      for (const user of [...users.off, ...users.on]) await decider.decide(user)
    }
    const steady = await compare(
      [
        { name: FILES, prepare, run: get('off') },
        { name: FALLEN_BACK, prepare, run: get('on') },
      ],
      { rounds, count: 10_000, inFlight: 64 },
    )
    const share = throughputShare(named(steady, FALLEN_BACK), named(steady, FILES))
    const ms = (value) => `${value.toFixed(1)} ms`
    const line = (name, { length }, operations, failed) => [
      name,
      length,
      failed,
      ms(quantile(operations, 0.5)),
      ms(quantile(operations, 0.99)),
      ms(quantile(operations, 1)),
    ]
    const worst = quantile(before, 0.99)
    return {
      tables: [
        {
          title: `Redis hung for ${seconds} s, ${PER_SECOND} operations a second, 10 % writes, half of the users on Redis`,
          headings: ['operations begun', 'count', 'failed', 'p50', 'p99', 'max'],
          rows: [
            line('before', healthy.operations, healthy.operations, healthy.failed),
            line('hung, until the breaker opens', before, before, hung.failed),
            line('hung, from then on', after, after, ''),
          ],
        },
        costTable('Steady, Redis still hung: hits by `getOrSet`, 64 in flight', steady, FILES),
      ],
      aims: [
        aim('Redis hung: failed operations', '0', `${hung.failed}`, hung.failed === 0),
        aim(
          'Redis hung: p99 until the breaker opens',
          `<= ${DEADLINE_MS + 10} ms`,
          ms(worst),
          worst <= DEADLINE_MS + 10,
        ),
        aim(
          'Redis hung, steady: throughput of its users',
          '>= 90 % of file-only',
          percent(share),
          share >= 0.9,
        ),
        aim(
          `Redis hung: RSS growth over ${seconds} s`,
          '<= 20 MiB',
          `${rssMiB.toFixed(1)} MiB`,
          rssMiB <= 20,
        ),
      ],
    }
  })
