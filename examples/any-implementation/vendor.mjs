// A mail vendor is replaced: two local HTTP servers, the new one fails 2 % and once hangs. A message is
// never sent twice, and a 404 is an answer.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createSwitch } from 'openfeature-switchback'
import { openFlags } from './flags.mjs'

const sent = []
async function vendor(name, behaviour = () => 200) {
  const server = createServer((request, response) => {
    const status = request.url === '/send?to=nobody' ? 404 : behaviour()
    if (status === 0) return
    if (status === 200) sent.push(`${name} ${request.url}`)
    response.writeHead(status).end(name)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const base = `http://127.0.0.1:${server.address().port}`
  return {
    server,
    async send(to, { signal } = {}) {
      const response = await fetch(`${base}/send?to=${to}`, { signal })
      if (!response.ok)
        throw Object.assign(new Error(`${name} says ${response.status}`), {
          status: response.status,
        })
      return response.text()
    },
  }
}

let count = 0
let hangs = false
const [off, on] = [
  await vendor('old'),
  await vendor('new', () => (hangs ? 0 : ++count % 50 === 0 ? 500 : 200)),
]
const flags = await openFlags('use-new-vendor')
const events = []
const mail = createSwitch({
  flag: 'use-new-vendor',
  flags: flags.source,
  off,
  on,
  methods: { send: { kind: 'write', deadlineMs: 1000, signal: 1 } },
  isFailure: (error) => error.status !== 404,
  onEvent: ({ message }) => events.push(message),
})
const forUser = (user) => mail.for({ targetingKey: user })
const why = (error) => error.code ?? error.message
const send = (user) =>
  forUser(user)
    .send(user)
    .then(() => 'sent', why)
const results = async () => {
  const counts = {}
  for (const user of flags.users) {
    const result = await send(user)
    counts[result] = (counts[result] ?? 0) + 1
  }
  return Object.entries(counts).map(([result, times]) => `${times} ${result}`)
}

console.log(`at 0 %: ${(await results()).join(', ')}`)
await flags.share(100)
console.log(`at 100 %: ${(await results()).join(', ')}`)
console.log(
  `a 404 is an answer: ${await mail
    .for({ targetingKey: 'user_1' })
    .send('nobody')
    .catch((error) => error.message)}`,
)
hangs = true
console.log(`a vendor that hangs: ${await send('user_1')}`)
hangs = false
await flags.share(0)
console.log(`taken back: ${(await results()).join(', ')}`)
console.log(`${sent.length} messages were sent by 300 requests`)
await mail.close()
await flags.close()
for (const { server } of [off, on]) server.closeAllConnections()
for (const { server } of [off, on]) server.close()
