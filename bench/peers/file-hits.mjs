/** A hit on the file side, and a write: through the switch, by hand, and through the peers. */
import { ANY } from '../../build/cache/index.js'
import { compare } from '../measure.mjs'
import {
  openBentocacheFile,
  openBentocacheSqlite,
  openCacache,
  openKeyvFile,
  openLmdb,
  openPlainFiles,
  openSqlite,
} from './file-peers.mjs'
import { aim, best, costTable, named } from './report.mjs'
import { FLAG, flagsSource, openSwitch, TTL, usersOf, VALUE, withStage } from './stage.mjs'

const USERS = 1000
const SWITCH = 'Switchback'
const ALONE = 'fileCache alone'

export const measure = ({ rounds }) =>
  withStage(async (stage) => {
    const source = await flagsSource(stage, 'in-process')
    const decider = source.createDecider({ flag: FLAG, feature: 'users' })
    stage.atEnd(() => decider.close())
    const { cache, off } = openSwitch(stage, { name: 'switch', decider })
    const users = await usersOf(decider, 'off', USERS)
    const user = (i) => users[i % USERS]
    const key = (i) => `profile/${user(i).targetingKey}`
    const prepare = async () => {
      for (const one of users) await decider.decide(one)
    }

    const peers = {
      'keyv-file, one file in all (kept in memory)': openKeyvFile(stage, false),
      'keyv-file, a file a key': openKeyvFile(stage, true),
      'bentocache, files': openBentocacheFile(stage),
      'bentocache, SQLite (kysely, libsql)': openBentocacheSqlite(stage),
      cacache: openCacache(stage),
      'by hand: a file a key': openPlainFiles(stage),
      'by hand: SQLite (libsql)': openSqlite(stage),
      'by hand: LMDB': openLmdb(stage),
    }
    const libraries = Object.keys(peers).filter((name) => !name.startsWith('by hand'))
    const write = (backend, i) =>
      backend.write(
        key(i),
        { payload: JSON.stringify(VALUE), expiresAt: Date.now() + TTL },
        { expect: ANY, within: 1000 },
      )
    await Promise.all(
      Object.values(peers).map((peer) => Promise.all(users.map((_, i) => peer.set(key(i), VALUE)))),
    )
    for (let i = 0; i < USERS; i += 1) {
      await cache.for(user(i)).set(key(i), VALUE)
    }
    const parsed = (backend) => (i) => JSON.parse(backend.read(key(i)).payload)
    const gets = [
      { name: ALONE, run: parsed(off), count: 20_000 },
      { name: SWITCH, prepare, run: (i) => cache.for(user(i)).get(key(i)), count: 20_000 },
      ...Object.entries(peers).map(([name, peer]) => ({ name, run: (i) => peer.get(key(i)) })),
    ]
    for (const { name, run } of gets) {
      if ((await run(1))?.text !== VALUE.text) throw new Error(`${name}: not a hit`)
    }
    // keyv-file resolves a write when its timer has saved the whole file: that is not an operation's cost.
    const sets = [
      { name: ALONE, run: (i) => write(off, i) },
      {
        name: `${SWITCH} (both sides told)`,
        prepare,
        run: (i) => cache.for(user(i)).set(key(i), VALUE),
      },
      ...Object.entries(peers)
        .filter(([name]) => !name.startsWith('keyv-file, one'))
        .map(([name, peer]) => ({ name, run: (i) => peer.set(key(i), VALUE) })),
    ]
    const hits = await compare(gets, { rounds, count: 3000, inFlight: 1 })
    const writes = await compare(sets, { rounds: Math.min(rounds, 5), count: 500, inFlight: 1 })

    const ours = named(hits, SWITCH)
    const rival = best(hits, libraries, 'cpuUs')
    const quickest = best(hits, libraries, 'wallUs')
    return {
      tables: [
        costTable('Hit on files (`get`, 1 KiB of JSON, 1,000 keys), one at a time', hits, ALONE),
        costTable('Write to files (`set`, 1 KiB of JSON), one at a time', writes, ALONE),
      ],
      aims: [
        aim('hit on files', '<= 10 us', `${ours.cpuUs.toFixed(1)} us`, ours.cpuUs <= 10),
        aim(
          'hit on files: ahead of every file or SQLite peer (CPU)',
          `< ${rival.cpuUs.toFixed(1)} us (${rival.name})`,
          `${ours.cpuUs.toFixed(1)} us`,
          ours.cpuUs < rival.cpuUs,
        ),
        aim(
          'hit on files: ahead of every file or SQLite peer (throughput)',
          `> ${Math.round(quickest.perSecond).toLocaleString('en')}/s (${quickest.name})`,
          `${Math.round(ours.perSecond).toLocaleString('en')}/s`,
          ours.wallUs < quickest.wallUs,
        ),
      ],
    }
  })
