import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { startRedis, type TestRedis } from '../../support/redis-server.ts'

describe('the redis-server harness', () => {
  let redis: TestRedis | undefined
  afterEach(async () => {
    await redis?.stop()
    redis = undefined
  })

  it('starts, answers, keeps its data over a restart when asked, and leaves nothing', async () => {
    redis = await startRedis()
    expect(await redis.command('SET', 'a', '1')).toBe('OK')
    await redis.restart({ keepData: true })
    expect(await redis.command('GET', 'a')).toBe('1')
    await redis.restart()
    expect(await redis.command('EXISTS', 'a')).toBe('0')
    const { pid, dir } = redis
    await redis.stop()
    expect(isAlive(pid)).toBe(false)
    expect(existsSync(dir)).toBe(false)
  })

  it('is frozen and thawed, and killed while frozen', async () => {
    redis = await startRedis()
    redis.freeze()
    let answered = false
    const ping = redis.command('PING').then((reply) => {
      answered = true
      return reply
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(answered).toBe(false)
    redis.thaw()
    expect(await ping).toBe('PONG')
    redis.freeze()
    await redis.kill()
    expect(redis.alive).toBe(false)
  })

  it('takes its servers along when the test process is killed', async () => {
    const harness = new URL('../../support/redis-server.ts', import.meta.url)
    const loader = new URL('../../simulation/ts-loader.mjs', import.meta.url)
    const parent = `
      import { startRedis } from ${JSON.stringify(harness.href)}
      const redis = await startRedis()
      console.log(JSON.stringify({ pid: redis.pid, dir: redis.dir }))
      setInterval(() => {}, 1000)`
    const child = spawn(
      process.execPath,
      ['--import', loader.href, '--input-type=module', '--eval', parent],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [line] = await once(child.stdout, 'data')
    const { pid, dir } = JSON.parse(String(line))
    expect(isAlive(pid)).toBe(true)
    child.kill('SIGKILL')
    await expect.poll(() => isAlive(pid), { timeout: 5000 }).toBe(false)
    await expect.poll(() => existsSync(dir), { timeout: 5000 }).toBe(false)
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
