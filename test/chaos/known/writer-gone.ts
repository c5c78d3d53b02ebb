import { setTimeout as delay } from 'node:timers/promises'
import { PairProcess } from '../../support/pair-processes.ts'
import { startRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'
import { Latest, Reads, readingUntil } from './reads.ts'

const WATCHED_MS = 2000

/**
 * The failure from which the protocol of two Redis began: B hangs, writes are acknowledged on A, their process is
 * killed or closed, and B goes on with what it had. Resolves to whether nothing older was read.
 */
export async function writerGone(times: number, perOutage: number): Promise<boolean> {
  const [a, b] = await Promise.all([startRedis(), startRedis()])
  const processes: PairProcess[] = []
  const start = async (): Promise<PairProcess> => {
    const one = await PairProcess.start(a, b)
    processes.push(one)
    return one
  }
  const latest = new Latest()
  const reads = new Reads(latest, 0)
  const ends = { killed: 0, closed: 0 }
  try {
    const reader = await start()
    let writer = await start()
    for (let done = 0; done < times; done += perOutage) {
      const keys = Array.from(
        { length: Math.min(perOutage, times - done) },
        (_, i) => `k${done + i}`,
      )
      await until('B holds the old values, and they are served', async () => {
        await reader.ask('set', 'on-user', keys, '1')
        const { result } = await reader.ask<unknown[]>('get', 'on-user', keys)
        return result.every((value) => value === '1')
      })
      const next = start()
      await next
      b.freeze()
      await writer.ask('set', 'off-user', keys, '2')
      latest.acknowledged(keys, 2)
      const end = ends.killed > ends.closed ? 'closed' : 'killed'
      if (end === 'closed') await writer.ask('close')
      ends[end] += keys.length
      await writer.kill()
      b.thaw()
      writer = await next
      const over = delay(WATCHED_MS, true)
      let isOver = false
      void over.then(() => (isOver = true))
      await readingUntil(
        () => isOver,
        [reader, writer],
        async (one) => {
          await reads.look(one, 'on-user', keys)
          await reads.look(one, 'off-user', keys)
        },
      )
    }
  } finally {
    b.thaw()
    await Promise.all(processes.map((one) => one.kill()))
    await Promise.all([a.stop(), b.stop()])
  }
  const bad = reads.wrong.size + reads.failed
  console.log(
    `${bad === 0 ? 'ok    ' : 'FAILED'} two Redis, B hangs, ${ends.killed + ends.closed} writes acknowledged on A, their process killed ` +
      `(${ends.killed}) or closed (${ends.closed}), B goes on: ${reads.wrong.size} of ${ends.killed + ends.closed} older\n       ${reads}`,
  )
  return bad === 0
}
