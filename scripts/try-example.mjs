// Runs an example as its user does: waits until it listens, asks it twice for a user, and stops it by SIGTERM.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/**
 * @param {string} directory of the example, installed
 * @param {readonly string[]} command what `npm start` runs last
 * @throws when it does not start, answer or end as it should; the message has its output
 */
export async function tryExample(directory, command) {
  const [file, ...args] = command
  const child = spawn(file, args, {
    cwd: directory,
    env: {
      ...process.env,
      NODE_ENV: '',
      PORT: '0',
      METRICS_PORT: '0',
      REDIS_URL: 'redis://127.0.0.1:1',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = new Promise((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal)),
  )
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (output += text))
  const urls = new Map()
  try {
    const listening = (async () => {
      for await (const line of createInterface({ input: child.stdout })) {
        output += `${line}\n`
        const [, what, url] = /^(listening|metrics) on (http:\/\/\S+)$/.exec(line) ?? []
        if (what !== undefined) urls.set(what, url.replace('[::1]', '127.0.0.1'))
        if (what === 'listening') return
      }
      throw new Error('it ended before it listened')
    })()
    await listening
    const found = []
    for (let again = 0; again < 2; again++) {
      const response = await fetch(`${urls.get('listening')}/users/user_7`, {
        headers: { connection: 'close' },
      })
      found.push(await response.text())
    }
    const expected = JSON.stringify({ id: 'user_7', name: 'name of user_7' })
    if (found.some((text) => text !== expected))
      throw new Error(`it answered ${found.join(' and ')}`)
    if (urls.has('metrics')) {
      const text = await (
        await fetch(urls.get('metrics'), { headers: { connection: 'close' } })
      ).text()
      for (const name of ['requests_total 2', 'switchback_operations_total{']) {
        if (!text.includes(name)) throw new Error(`its metrics lack ${name}`)
      }
    }
    child.kill('SIGTERM')
    const end = await ended
    // NestJS runs its hooks and then sends itself the same signal.
    if (end !== 0 && end !== 'SIGTERM') throw new Error(`at SIGTERM it ended with ${end}`)
  } catch (error) {
    throw new Error(`${directory}: ${error.message}\n${output}`, { cause: error })
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}
