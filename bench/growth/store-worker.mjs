/** One process of a machine: reads and writes as a user of the files, for as long as it is told. */
import { fileCache, redisCache } from '../../dist/index.mjs'
import { OFF, switchOf } from './sides.mjs'

const [directory, url] = process.argv.slice(2)
const cache = switchOf(fileCache({ directory }), redisCache({ url }))
const user = cache.for(OFF)
const VALUE = { text: 'x'.repeat(960) }
const key = (i) => `user:${(i * 7919) % 1000}`

process.on('message', async ({ ms, writes }) => {
  const took = []
  const until = performance.now() + ms
  const cpu = process.cpuUsage()
  let operations = 0
  while (performance.now() < until) {
    operations += 1
    const began = performance.now()
    if (operations % 100 < writes * 100) {
      await user.set(key(operations), VALUE)
      took.push(performance.now() - began)
    } else await user.get(key(operations))
    if (operations % 64 === 0) await new Promise(setImmediate)
  }
  const { user: own, system } = process.cpuUsage(cpu)
  process.send({ operations, cpuUs: own + system, took })
})
process.on('disconnect', () => process.exit())
if ((await user.get(key(0))) === undefined) {
  for (let i = 0; i < 1000; i += 1) await user.set(key(i), VALUE)
}
process.send('ready')
