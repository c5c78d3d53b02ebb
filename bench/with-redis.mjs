import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'

/**
 * Runs with the Redis at `url`, or with a redis-server of its own for the time, whose process is then
 * the second argument. `args` are added to its command line.
 */
export async function withRedis(url, run, args = []) {
  if (url !== undefined) return run(url)
  const port = await freePort()
  const server = spawn(
    'redis-server',
    ['--port', String(port), '--save', '', '--bind', '127.0.0.1', ...args],
    {
      stdio: 'ignore',
    },
  )
  try {
    await answers(port)
    return await run(`redis://127.0.0.1:${port}`, server)
  } finally {
    // Also ends one that was stopped.
    const gone = once(server, 'exit')
    server.kill('SIGKILL')
    await gone
  }
}

export async function answers(port) {
  const client = new Redis(port, { lazyConnect: true, retryStrategy: () => 20 })
  client.on('error', () => {})
  for (let i = 0; i < 200; i += 1) {
    try {
      await client.ping()
      client.disconnect()
      return
    } catch {
      await delay(20)
    }
  }
  throw new Error('redis-server did not start')
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Resolves once something listens on the port. */
export async function answersOn(port) {
  for (let i = 0; i < 500; i += 1) {
    const socket = connect(port, '127.0.0.1')
    const [first] = await Promise.race([
      once(socket, 'connect').then(() => [true]),
      once(socket, 'error').then(() => [false]),
    ]).catch(() => [false])
    socket.destroy()
    if (first) return
    await delay(20)
  }
  throw new Error(`nothing listens on port ${port}`)
}
