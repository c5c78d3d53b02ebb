import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { type Host, netLink, Nets } from './nets.ts'

/** Tells what it got, and what it has sent; `store` answers each datagram with the same. */
const PEER = `
  const socket = require('node:dgram').createSocket('udp4')
  socket.on('message', (bytes, { address, port }) => {
    process.send(String(bytes))
    if (process.argv[1] === 'store') socket.send(bytes, port, address)
  })
  process.on('message', ([text, address]) => {
    socket.send(text, 7000, address, () => process.send('sent'))
  })
  socket.bind(process.argv[1] === 'store' ? 7000 : 0, () => process.send('ready'))
`

async function peer(host: Host, name: string): Promise<ChildProcess> {
  const [program, ...args] = [...host.enter, process.execPath, '-e', PEER, name]
  const child = spawn(program!, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  await once(child, 'message')
  return child
}

async function heard(child: ChildProcess): Promise<string> {
  for (;;) {
    const [text] = (await once(child, 'message')) as [string]
    if (text !== 'sent') return text
  }
}

test('a link is cut in one direction, and both ends hear nothing of it', async (context) => {
  const nets = await Nets.make()
  if (nets === undefined) return context.skip('network namespaces cannot be made here')
  const children: ChildProcess[] = []
  try {
    const [machine, store] = [await nets.host(), await nets.host()]
    children.push(await peer(machine, 'machine'), await peer(store, 'store'))
    const [client, server] = children as [ChildProcess, ChildProcess]
    const sendInVain = async (text: string): Promise<void> => {
      client.send([text, store.address])
      await once(client, 'message')
    }
    const link = netLink(machine, store)

    await link.stall('there')
    await sendInVain('lost on its way')
    await link.resume()
    // What comes first is what was sent after: datagrams do not overtake each other here.
    let [there, back] = [heard(server), heard(client)]
    client.send(['one', store.address])
    expect(await Promise.all([there, back])).toEqual(['one', 'one'])

    await link.stall('back')
    there = heard(server)
    client.send(['answered in vain', store.address])
    expect(await there).toBe('answered in vain')
    await link.resume()
    ;[there, back] = [heard(server), heard(client)]
    client.send(['two', store.address])
    expect(await Promise.all([there, back])).toEqual(['two', 'two'])
  } finally {
    for (const child of children) child.kill('SIGKILL')
    nets.close()
  }
}, 60_000)
