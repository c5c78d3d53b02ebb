/** A decision for a user who was asked about before, beside an evaluation each time. */
import { runAs } from '../../dist/index.mjs'
import { compare } from '../measure.mjs'
import { aim, costTable, named } from './report.mjs'
import { FLAG, flagsSource, naiveClient, usersOf, withStage } from './stage.mjs'

const USERS = 1000
const SDK = 'SDK client, in-process'
const REMEMBERED = 'Switchback, remembered'
const NEW = 'Switchback, a new user each time'

export const measure = ({ rounds }) =>
  withStage(async (stage) => {
    const rpc = await naiveClient(stage, 'rpc')
    const inProcess = await naiveClient(stage, 'in-process')
    const source = await flagsSource(stage, 'in-process')
    const decider = source.createDecider({ flag: FLAG, feature: 'users' })
    stage.atEnd(() => decider.close())
    const users = await usersOf(decider, 'on', USERS)
    const user = (i) => users[i % USERS]
    let next = 0
    const results = await compare(
      [
        {
          name: 'SDK client, rpc',
          run: (i) => rpc.getBooleanValue(FLAG, false, user(i)),
          count: 1000,
        },
        { name: SDK, run: (i) => inProcess.getBooleanValue(FLAG, false, user(i)), count: 10_000 },
        {
          name: REMEMBERED,
          run: (i) => decider.decide(user(i)),
          // The rounds of the others outlast the memory of a decision.
          prepare: async () => {
            for (const one of users) await decider.decide(one)
          },
          count: 500_000,
        },
        {
          name: NEW,
          run: () => decider.decide({ targetingKey: `new-${(next += 1)}` }),
          count: 10_000,
        },
        {
          name: 'Switchback, remembered, user from the transaction context',
          run: () =>
            runAs('user-7', () => {
              for (let n = 0; n < 1000; n += 1) void decider.decide()
            }),
          prepare: () => runAs('user-7', () => decider.decide()),
          count: 500_000,
          batch: 1000,
        },
      ],
      { rounds, inFlight: 1 },
    )
    const us = named(results, REMEMBERED).cpuUs
    const fresh = named(results, NEW).cpuUs
    const ratio = named(results, SDK).cpuUs / us
    return {
      tables: [
        costTable('A decision for a known user, 1,000 users, one after another', results, SDK),
      ],
      aims: [
        aim('decision for a known user', '<= 0.09 us', `${us.toFixed(2)} us`, us <= 0.09),
        aim(
          'decision for a new user, in-process',
          '<= 10 us',
          `${fresh.toFixed(1)} us`,
          fresh <= 10,
        ),
        aim(
          "decision beside the SDK client's in-process evaluation",
          '>= 10 x cheaper',
          `${ratio.toFixed(0)} x`,
          ratio >= 10,
        ),
      ],
    }
  })
