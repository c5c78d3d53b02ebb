import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PairProcess } from '../support/pair-processes.ts'
import { startRedis, type TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

let redis: TestRedis
let directory: string
const processes: PairProcess[] = []

beforeAll(async () => {
  redis = await startRedis()
  directory = mkdtempSync(join(tmpdir(), 'switchback-machines-'))
  // The files of each are its own.
  for (const machine of ['m1', 'm2', 'm3']) processes.push(await start(machine))
})

afterAll(async () => {
  redis.thaw()
  await Promise.all(processes.map((one) => one.kill()))
  await redis.stop()
  rmSync(directory, { recursive: true, force: true })
})

function start(machine: string): Promise<PairProcess> {
  return PairProcess.startOn(join(directory, machine), redis)
}

async function told(one: PairProcess): Promise<void> {
  await until('it follows', async () => (await one.ask<boolean>('told')).result)
}

const KEYS = Array.from({ length: 20 }, (_, i) => `k${i}`)

async function values(one: PairProcess, user: 'off-user' | 'on-user' = 'off-user') {
  return (await one.ask<unknown[]>('get', user, KEYS)).result
}

async function haveV1(): Promise<void> {
  for (const one of processes) await told(one)
  await processes[1]!.ask('delete', 'off-user', KEYS)
  for (const one of processes) {
    await told(one)
    await one.ask('load', 'off-user', KEYS, 'v1')
  }
}

test('what one machine writes or deletes, the others do not have any more', async () => {
  const [m1, m2, m3] = processes as [PairProcess, PairProcess, PairProcess]
  await haveV1()
  await m1.ask('set', 'on-user', KEYS, 'v2')
  for (const one of [m2, m3]) {
    await told(one)
    expect(await values(one)).toEqual(KEYS.map(() => 'v2'))
  }
  await m2.ask('delete', 'off-user', KEYS)
  for (const one of [m1, m3]) {
    await told(one)
    expect(await values(one)).toEqual(KEYS.map(() => null))
  }
})

test('a process is stopped while others write: it has nothing older when it goes on', async () => {
  const [m1, m2] = processes as [PairProcess, PairProcess]
  await haveV1()
  m2.freeze()
  await m1.ask('set', 'off-user', KEYS, 'v2')
  // What was known counts for a second.
  await delay(1100)
  m2.thaw()
  expect((await values(m2)).filter((value) => value === 'v1')).toEqual([])
})

test('a machine whose process was killed while others write has nothing older after it starts again', async () => {
  const [m1, , m3] = processes as [PairProcess, PairProcess, PairProcess]
  await haveV1()
  await m3.kill()
  await m1.ask('set', 'off-user', KEYS, 'v2')
  processes[2] = await start('m3')
  expect((await values(processes[2])).filter((value) => value === 'v1')).toEqual([])
  expect((await values(processes[2], 'on-user')).filter((value) => value === 'v1')).toEqual([])
})

test('Redis hangs, and restarts empty: nothing older, and nothing fails', async () => {
  const [m1, m2] = processes as [PairProcess, PairProcess]
  await haveV1()
  redis.freeze()
  expect(new Set(await values(m2))).toEqual(new Set(['v1']))
  redis.thaw()
  await told(m1)
  await m1.ask('set', 'on-user', KEYS, 'v2')
  await redis.restart()
  await told(m2)
  expect((await values(m2)).filter((value) => value === 'v1')).toEqual([])
})
