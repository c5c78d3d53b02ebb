/** flagd hangs, then is killed, while the traffic goes on. */
import { aim } from './report.mjs'
import { FLAG, flagsSource, openSwitch, usersOf, VALUE, withStage } from './stage.mjs'
import { quantile, traffic } from './traffic.mjs'

const USERS = 1000
const PER_SECOND = 500

export const measure = ({ rounds }) =>
  withStage(async (stage) => {
    const source = await flagsSource(stage, 'rpc')
    const decider = source.createDecider({ flag: FLAG, feature: 'users' })
    stage.atEnd(() => decider.close())
    const { cache } = openSwitch(stage, { name: 'switch', decider })
    const users = {
      off: await usersOf(decider, 'off', USERS),
      on: await usersOf(decider, 'on', USERS),
    }
    let moved = 0
    const operation = async (i) => {
      const side = i % 2 === 0 ? 'on' : 'off'
      const user = users[side][(i * 7919) % USERS]
      if ((await decider.decide(user)).side !== side) moved += 1
      const key = `profile/${user.targetingKey}`
      await cache.for(user).getOrSet(key, () => VALUE, { ttl: '10m' })
    }
    const seconds = Math.min(12, 2 + rounds)
    const run = () => traffic({ seconds, perSecond: PER_SECOND, operation })
    await run()
    const phases = { healthy: await run() }
    stage.sidecar.freeze()
    phases.hung = await run()
    stage.sidecar.thaw()
    phases['healthy again'] = await run()
    await stage.sidecar.kill()
    phases.killed = await run()

    const ms = (value) => `${value.toFixed(2)} ms`
    const p99 = Object.fromEntries(
      Object.entries(phases).map(([name, { operations }]) => [name, quantile(operations, 0.99)]),
    )
    const usual = p99.healthy
    const failed = Object.values(phases).reduce((sum, phase) => sum + phase.failed, 0)
    const worst = Math.max(p99.hung, p99.killed)
    return {
      tables: [
        {
          title: `flagd (rpc) gone, ${PER_SECOND} operations a second, ${seconds} s each`,
          headings: ['flagd', 'operations', 'failed', 'p50', 'p99', 'max'],
          rows: Object.entries(phases).map(([name, phase]) => [
            name,
            phase.operations.length,
            phase.failed,
            ms(quantile(phase.operations, 0.5)),
            ms(p99[name]),
            ms(quantile(phase.operations, 1)),
          ]),
        },
      ],
      aims: [
        aim(
          'flagd hung or killed: p99 of operations',
          `within noise of ${ms(usual)} (here: + 2 ms)`,
          ms(worst),
          worst <= usual + 2,
        ),
        aim('flagd hung or killed: failed operations', '0', `${failed}`, failed === 0),
        aim('flagd hung or killed: known users who moved', '0', `${moved}`, moved === 0),
      ],
    }
  })
