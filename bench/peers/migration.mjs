/**
 * What the machinery alone costs: reads and writes of a migration over backends that do nothing,
 * beside LaunchDarkly's migration flags with flag data from memory (TestData) and no events sent.
 */
import {
  init,
  integrations,
  LDMigrationSuccess,
  LDSerialExecution,
  LDExecutionOrdering,
  createMigration,
} from '@launchdarkly/node-server-sdk'
import { createCacheSwitch, createSwitch, createTelemetry } from '../../dist/index.mjs'
import { compare, cpuOver } from '../measure.mjs'
import { aim, costTable, named } from './report.mjs'
import { FLAG, knownUsers, withStage } from './stage.mjs'

const USERS = 1000
const DIRECT = 'the implementation, called directly'
const COUNT = 5000
const CELL = {
  state: 'value',
  token: 'abcdefghijkl',
  payload: '7',
  writtenAt: 1,
  expiresAt: 9_999_999_999_999,
  successor: '',
}

/** Answers at once, as a store in this process would. */
const noop = (name) => ({
  name,
  tombstoneTtl: 120_000,
  read: () => CELL,
  write: () => ({ written: true, token: CELL.token }),
  invalidate: () => ({ done: true, existed: true, token: CELL.token }),
  clear: async () => {},
  now: () => Date.now(),
  ping: () => {},
  close: async () => {},
})

/** Answers with a promise, as LaunchDarkly's callbacks must. */
const asyncNoop = (name) => ({
  ...noop(name),
  read: async () => CELL,
  write: async () => ({ written: true, token: CELL.token }),
  invalidate: async () => ({ done: true, existed: true, token: CELL.token }),
})

export const measure = ({ rounds }) =>
  withStage(async (stage) => {
    const { decider, users, user } = await knownUsers(stage, USERS)
    const prepare = async () => {
      for (const one of users) await decider.decide(one)
    }
    const open = (side, telemetry = {}) => {
      const cache = createCacheSwitch({
        flag: FLAG,
        decider,
        off: side('old'),
        on: side('new'),
        ...telemetry,
      })
      stage.atEnd(() => cache.close())
      return cache
    }
    const switches = {
      Switchback: open(asyncNoop),
      'Switchback, counting': open(asyncNoop, { telemetry: createTelemetry() }),
      'Switchback, backends that answer at once': open(noop),
    }
    const [off, on] = [0, 1].map(() => ({ read: async () => 7, write: async () => 7 }))
    const service = (telemetry = {}) => {
      const methods = {
        read: { kind: 'read', fallback: true },
        write: { kind: 'write', to: 'both' },
      }
      const made = createSwitch({ name: 'any', decider, off, on, methods, ...telemetry })
      stage.atEnd(() => made.close())
      return made
    }
    const any = {
      createSwitch: service(),
      'createSwitch, counting': service({ telemetry: createTelemetry() }),
    }
    const { migrate, contexts } = await launchDarkly(stage, users)
    const ld = (stageName, what) => ({
      name: `LaunchDarkly, stage ${stageName}`,
      run: (i) => migrate[what](stageName, contexts[i % USERS], 'off', 7),
    })

    const reads = await compare(
      [
        { name: DIRECT, run: () => on.read() },
        ...Object.entries(switches).map(([name, cache]) => ({
          name,
          prepare,
          run: (i) => cache.for(user(i)).get('key'),
        })),
        ...Object.entries(any).map(([name, one]) => ({
          name,
          prepare,
          run: (i) => one.for(user(i)).read(),
        })),
        // One read: no comparison.
        ld('rampdown', 'read'),
        ld('complete', 'read'),
        // Both sides are read.
        ld('live', 'read'),
      ],
      { rounds, count: COUNT, inFlight: 1 },
    )
    const writes = await compare(
      [
        ...Object.entries(switches).map(([name, cache]) => ({
          name: `${name} (both sides told)`,
          prepare,
          run: (i) => cache.for(user(i)).set('key', 7),
        })),
        ...Object.entries(any).map(([name, one]) => ({
          name: `${name} (both sides written)`,
          prepare,
          run: (i) => one.for(user(i)).write(),
        })),
        // Both sides are written.
        ld('rampdown', 'write'),
        ld('dualwrite', 'write'),
        // One side is written.
        ld('complete', 'write'),
      ],
      { rounds, count: COUNT, inFlight: 1 },
    )
    const against = (results, ours, theirs, what) => {
      const [one, other] = [named(results, ours), named(results, theirs)]
      return aim(
        `migration ${what} over no-op backends`,
        `< ${other.cpuUs.toFixed(1)} us (${theirs})`,
        `${one.cpuUs.toFixed(1)} us`,
        one.cpuUs < other.cpuUs,
      )
    }
    const overhead = cpuOver(named(reads, 'createSwitch'), named(reads, DIRECT))
    return {
      tables: [
        costTable('Read over backends that do nothing', reads, 'LaunchDarkly, stage complete'),
        costTable('Write over backends that do nothing', writes, 'LaunchDarkly, stage rampdown'),
      ],
      aims: [
        against(reads, 'Switchback', 'LaunchDarkly, stage complete', 'read'),
        against(
          reads,
          'createSwitch, counting',
          'LaunchDarkly, stage complete',
          'read of a switch',
        ),
        aim(
          'migration read of a switch, beyond the no-op implementation itself',
          '<= 1 us',
          `${overhead.toFixed(2)} us`,
          overhead <= 1,
        ),
        against(
          writes,
          'Switchback (both sides told)',
          'LaunchDarkly, stage rampdown',
          'write to both sides',
        ),
        against(
          writes,
          'Switchback (both sides told)',
          'LaunchDarkly, stage complete',
          'write, beside their write to one side,',
        ),
      ],
    }
  })

async function launchDarkly({ atEnd }, users) {
  const flags = new integrations.TestData()
  for (const stageName of ['dualwrite', 'live', 'rampdown', 'complete']) {
    await flags.update(flags.flag(stageName).valueForAll(stageName))
  }
  const client = init('sdk-key', {
    updateProcessor: flags.getFactory(),
    sendEvents: false,
    diagnosticOptOut: true,
    logger: { error: console.error, warn: () => {}, info: () => {}, debug: () => {} },
  })
  await client.waitForInitialization({ timeout: 5 })
  atEnd(() => client.close())
  const done = async () => LDMigrationSuccess(7)
  const migrate = createMigration(client, {
    execution: new LDSerialExecution(LDExecutionOrdering.Fixed),
    readOld: done,
    readNew: done,
    writeOld: done,
    writeNew: done,
  })
  return {
    migrate,
    contexts: users.map(({ targetingKey }) => ({ kind: 'user', key: targetingKey })),
  }
}
