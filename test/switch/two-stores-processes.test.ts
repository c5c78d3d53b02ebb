import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PairProcess } from '../support/pair-processes.ts'
import { until } from '../support/until.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'

let a: TestRedis
let b: TestRedis
const processes: PairProcess[] = []

beforeEach(async () => {
  a = await startRedis()
  b = await startRedis()
})

afterEach(async () => {
  b.thaw()
  await Promise.all(processes.splice(0).map((one) => one.kill()))
  await a.stop()
  await b.stop()
})

async function start(): Promise<PairProcess> {
  const one = await PairProcess.start(a, b)
  processes.push(one)
  return one
}

const KEYS = Array.from({ length: 20 }, (_, i) => `k${i}`)

async function storeV1(reader: PairProcess): Promise<void> {
  await until('B holds v1', async () => {
    await reader.ask('set', 'on-user', KEYS, 'v1')
    const { result } = await reader.ask<unknown[]>('get', 'on-user', KEYS)
    return result.every((value) => value === 'v1')
  })
}

async function neverV1(reader: PairProcess): Promise<void> {
  for (let i = 0; i < 20; i += 1) {
    const { result } = await reader.ask<unknown[]>('get', 'on-user', KEYS)
    expect(result.filter((value) => value === 'v1')).toEqual([])
    await delay(i * 5)
  }
}

test.each(['killed', 'closed'])(
  'B hangs, v2 is acknowledged on A, the writer is %s, B goes on: v1 is never read again',
  async (end) => {
    const [reader, writer] = [await start(), await start()]
    await storeV1(reader)
    b.freeze()
    await writer.ask('set', 'off-user', KEYS, 'v2')
    if (end === 'closed') {
      const { events } = await writer.ask('close')
      expect(events.filter((event) => event.startsWith('debts-left'))).toEqual([])
    }
    await writer.kill()
    b.thaw()
    await neverV1(reader)
    // A third process, which knows nothing but what stands in the stores.
    await neverV1(await start())
  },
)

test('a process that was stopped for longer than a licence reads nothing older', async () => {
  const [reader, writer] = [await start(), await start()]
  await storeV1(reader)
  reader.freeze()
  b.freeze()
  await writer.ask('set', 'off-user', KEYS, 'v2')
  await writer.kill()
  b.thaw()
  reader.thaw()
  await neverV1(reader)
})
