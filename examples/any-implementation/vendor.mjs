// A mail vendor is replaced: two local HTTP servers, the old one slow, the new one fails 2 % and once hangs. A
// message is never sent twice, a 404 is an answer, and what the two charge is compared.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { createSwitch } from 'openfeature-switchback'
import { openFlags } from './flags.mjs'

const sent = []
async function vendor(name, cents, behaviour) {
  const server = createServer(async (request, response) => {
    if (request.url === '/price') return response.end(String(cents))
    const status = request.url === '/send?to=nobody' ? 404 : await behaviour()
    if (status === 200) sent.push(`${name} ${request.url}`)
    if (status !== 0) response.writeHead(status).end(name)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const ask = async (path, signal) => {
    const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { signal })
    const { ok, status } = response
    if (!ok) throw Object.assign(new Error(`${name} says ${status}`), { status })
    return response.text()
  }
  return {
    server,
    send: (to, { signal } = {}) => ask(`/send?to=${to}`, signal),
    price: async () => ({ cents: Number(await ask('/price')) }),
  }
}

let count = 0
let hangs = false
const off = await vendor('old', 10, () => sleep(5, 200))
const on = await vendor('new', 9, () => (hangs ? 0 : ++count % 50 === 0 ? 500 : 200))
const flags = await openFlags('use-new-vendor')
const events = []
const mail = createSwitch({
  flag: 'use-new-vendor',
  flags: flags.source,
  off,
  on,
  methods: {
    send: { kind: 'write', deadlineMs: 1000, signal: 1 },
    price: { kind: 'read', fallback: true, compare: { share: 1, reveal: true } },
  },
  isFailure: (error) => error.status !== 404,
  onEvent: ({ type, detail }) => type === 'mismatch' && events.push(detail),
})
const send = (user, to = user) =>
  mail
    .for({ targetingKey: user })
    .send(to)
    .then(
      () => 'sent',
      (error) => error.code ?? error.message,
    )
async function results() {
  const counts = {}
  for (const user of flags.users) {
    const result = await send(user)
    counts[result] = (counts[result] ?? 0) + 1
  }
  return Object.entries(counts).map(([result, times]) => `${times} ${result}`)
}

console.log(`at 0 %: ${(await results()).join(', ')}`)
for (; events.length === 0; await sleep(5)) await mail.price()
console.log(`compared: ${events[0]}`)
await flags.share(100)
console.log(`at 100 %: ${(await results()).join(', ')}`)
console.log(`a 404 is an answer: ${await send('user_1', 'nobody')}`)
hangs = true
console.log(`a vendor that hangs: ${await send('user_1')}`)
await flags.share(0)
console.log(`taken back: ${(await results()).join(', ')}`)
console.log(`${sent.length} messages were sent by 300 requests`)
await Promise.all([mail.close(), flags.close()])
for (const { server } of [off, on]) server.close(server.closeAllConnections())
