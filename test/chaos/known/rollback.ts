import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PairProcess } from '../../support/pair-processes.ts'
import { startRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'
import { Latest, Reads, readingUntil } from './reads.ts'

const MACHINES = 10
const KEYS = 50
const WATCHED_MS = 2000
/** The bounds of "Several machines" in docs/guarantees.md. */
const LIVE_MS = 1000
const ALONE_MS = 10_000

/**
 * A fleet of ten with files of their own writes to Redis and goes back to its files; then Redis dies for good, while
 * one machine writes on. Resolves to whether each read kept its bound, and none failed.
 */
export async function rollback(times: number): Promise<boolean> {
  const redis = await startRedis()
  const directory = mkdtempSync(join(tmpdir(), 'switchback-known-'))
  const fleet: PairProcess[] = []
  const keys = Array.from({ length: KEYS }, (_, i) => `k${i}`)
  const latest = new Latest()
  const [back, dead] = [new Reads(latest, LIVE_MS), new Reads(latest, ALONE_MS)]
  try {
    for (let i = 0; i < MACHINES; i += 1) {
      fleet.push(await PairProcess.startOn(join(directory, `m${i}`), redis))
    }
    for (const one of fleet) {
      await until('it follows', async () => (await one.ask<boolean>('told')).result)
      await one.ask('load', 'off-user', keys, '1')
    }
    let version = 1
    for (let done = 0; done < times; version += 1) {
      const value = version + 1
      // Each key by another machine than before.
      const shares = fleet.map((_, m) => keys.filter((__, i) => (i + value) % MACHINES === m))
      await Promise.all(
        fleet.map(async (one, m) => {
          await one.ask('set', 'on-user', shares[m]!, String(value))
          latest.acknowledged(shares[m]!, value)
        }),
      )
      done += KEYS
    }
    const rolledBack = performance.now()
    await readingUntil(
      () => performance.now() - rolledBack > WATCHED_MS,
      fleet,
      (one) => back.look(one, 'off-user', keys),
    )
    // All have the latest in their files, which only that of one machine is replaced in.
    for (const one of fleet) await one.ask('load', 'off-user', keys, String(version))
    await redis.kill()
    version += 1
    await fleet[0]!.ask('set', 'off-user', keys, String(version))
    latest.acknowledged(keys, version)
    const died = performance.now()
    await readingUntil(
      () => performance.now() - died > ALONE_MS + 2 * LIVE_MS,
      fleet,
      async (one) => {
        await dead.look(one, 'off-user', keys, String(version))
        await dead.look(one, 'on-user', keys, String(version))
      },
    )
  } finally {
    await Promise.all(fleet.map((one) => one.kill()))
    await redis.stop()
    rmSync(directory, { recursive: true, force: true })
  }
  const ok = (reads: Reads): boolean => reads.wrong.size + reads.failed === 0
  const mark = (reads: Reads): string => (ok(reads) ? 'ok    ' : 'FAILED')
  console.log(
    `${mark(back)} ten machines, ${times} updates on Redis, all back on their files: ${back.wrong.size} of ${KEYS} keys beyond the bound of ${LIVE_MS} ms\n` +
      `       ${back}\n${mark(dead)} then Redis dies, and one machine writes: ${dead.wrong.size} of ${KEYS} keys beyond the bound of ${ALONE_MS} ms\n       ${dead}`,
  )
  return ok(back) && ok(dead)
}
