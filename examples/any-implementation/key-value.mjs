// A key-value database moves from one Redis to another: writes go to both, and what one of them did not take
// is told, so that it can be copied. No cache: nothing expires, nothing is loaded again.
//   node key-value.mjs redis://127.0.0.1:6379 redis://127.0.0.1:6380
import { setTimeout as sleep } from 'node:timers/promises'
import Redis from 'ioredis'
import { createSwitch } from 'openfeature-switchback'
import { openFlags } from './flags.mjs'

const database = (url) => {
  const client = new Redis(url, {
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    retryStrategy: () => 50,
  })
  client.on('error', () => {})
  return {
    client,
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
  }
}

const [off, on] = process.argv.slice(2, 4).map(database)
await Promise.all(
  [off, on].map(({ client }) =>
    client.ping().catch(() => new Promise((done) => client.once('ready', done))),
  ),
)
const flags = await openFlags('use-new-database')
const left = new Set()
const events = []
const records = createSwitch({
  flag: 'use-new-database',
  flags: flags.source,
  off: { get: off.get, set: off.set },
  on: { get: on.get, set: on.set },
  methods: {
    get: { kind: 'read', fallback: true, compare: { share: 1 } },
    set: { kind: 'write', to: 'both' },
  },
  onEvent: ({ type, detail }) => events.push(`${type}: ${detail}`),
})
/** Writes, and notes who has to be copied later. */
async function write(user, value) {
  left.add(user)
  await records.for({ targetingKey: user }).set(user, value)
  if ((await on.get(user)) === value) left.delete(user)
}
const read = () =>
  Promise.all(flags.users.map((user) => records.for({ targetingKey: user }).get(user)))
const ofVersion = async (version) => (await read()).filter((value) => value === version).length

for (const user of flags.users) await write(user, 'v1')
await flags.share(50)
console.log(`at 50 %: ${await ofVersion('v1')} of 100 users read what was written`)
on.client.disconnect()
for (const user of flags.users) await write(user, 'v2').catch(() => {})
await flags.share(0)
console.log(`the new one was out, taken back: ${left.size} writes have to be copied`)
await on.client.connect()
while (!records.health().on.ok) await sleep(50)
for (; !events.at(-1).startsWith('mismatch'); await sleep(50)) await read()
console.log(`compared: ${events.at(-1)}`)
for (const user of left) await write(user, 'v2')
await flags.share(100)
console.log(
  `copied what was left, at 100 %: ${await ofVersion('v2')} of 100 users read what was written`,
)
await records.close()
await flags.close()
for (const { client } of [off, on]) client.disconnect()
