// As processes of their own: a command whose event loop runs empty while it waits ends without a word.
import { spawn } from 'node:child_process'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const BIN = join(import.meta.dirname, '..', '..', 'dist', 'cli', 'bin.js')

/** What the doctor ends with, and what it says of Redis. */
async function doctor(url: string): Promise<{ code: number; finding: Record<string, string> }> {
  const { REDIS_URL: _, ...env } = process.env
  const args = [BIN, 'doctor', '--no-flagd', '--json', '--redis', url]
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number]>,
  ])
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' })
  const { findings } = JSON.parse(stdout) as { findings: Record<string, string>[] }
  return { code, finding: findings.find(({ check }) => check === 'redis')! }
}

async function portOf(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => {})))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

test('the doctor says that Redis does not answer, whatever answers instead', async () => {
  const mute = await portOf(createServer())
  const http = await portOf(
    createServer((socket) =>
      socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')),
    ),
  )
  const plain = await portOf(
    createServer((socket) => {
      // What a Redis does with a line that it does not understand, and with a PING.
      socket.once('data', (bytes) => {
        if (bytes.toString().startsWith('PING')) socket.end('+PONG\r\n')
        else socket.destroy()
      })
    }),
  )
  const [silent, secretly, noRedis, overHttp, overPlain] = await Promise.all([
    doctor(`redis://127.0.0.1:${mute}`),
    doctor(`rediss://127.0.0.1:${mute}`),
    doctor(`redis://127.0.0.1:${http}`),
    doctor(`rediss://127.0.0.1:${http}`),
    doctor(`rediss://127.0.0.1:${plain}`),
  ])
  for (const { finding } of [silent, secretly]) {
    expect(finding).toMatchObject({ state: 'problem', text: expect.stringMatching(/not answer/u) })
  }
  for (const { finding } of [noRedis, overHttp]) {
    expect(finding).toMatchObject({
      state: 'problem',
      text: expect.stringMatching(/not a Redis$/u),
    })
  }
  expect(overPlain.finding).toMatchObject({
    state: 'problem',
    text: `The Redis URL begins with rediss://, but 127.0.0.1:${plain} does not speak TLS.`,
  })
})
