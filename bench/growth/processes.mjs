/** 1, 4 and 16 processes at work on one file store. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { median } from '../measure.mjs'
import { withRedis } from '../with-redis.mjs'
import { beside, number } from './sides.mjs'

const PROCESSES = [1, 4, 16]
const SHARES = { 'hits only': 0, '10 % sets': 0.1, 'sets only': 1 }
const MS = 1000

export async function processes({ rounds }) {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-bench-'))
  const workers = []
  try {
    return await withRedis(undefined, async (url) => {
      for (let i = 0; i < Math.max(...PROCESSES); i += 1) {
        const worker = fork(join(import.meta.dirname, 'store-worker.mjs'), [directory, url])
        workers.push(worker)
        await once(worker, 'message')
      }
      const rows = []
      for (const [name, writes] of Object.entries(SHARES)) {
        const samples = PROCESSES.map(() => [])
        for (let round = 0; round < rounds; round += 1) {
          for (const [i, n] of PROCESSES.entries()) {
            samples[i].push(await together(workers.slice(0, n), writes))
          }
        }
        for (const [i, n] of PROCESSES.entries()) {
          const of = (value) => median(samples[i].map(value))
          const ratio = (value) =>
            median(samples[i].map((one, round) => value(one) / value(samples[0][round])))
          rows.push([
            name,
            n,
            beside(
              of((one) => one.cpuUs),
              ratio((one) => one.cpuUs),
            ),
            `${number(of((one) => one.perSecond))} (${ratio((one) => one.perSecond).toFixed(2)} x)`,
            ...(writes === 0
              ? ['', '']
              : [0.5, 0.99].map((q) => `${of((one) => one.setMs(q)).toFixed(2)} ms`)),
          ])
        }
      }
      return {
        title: `Processes on one file store (${availableParallelism()} CPUs), each with one operation at a time as a user of the files; the figures beside 1 process in the same round`,
        headings: [
          'operations',
          'processes',
          'CPU us',
          'operations/s of all',
          'set p50',
          'set p99',
        ],
        rows,
      }
    })
  } finally {
    for (const worker of workers) worker.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
}

async function together(workers, writes) {
  const answers = await Promise.all(
    workers.map(async (worker) => {
      const answered = once(worker, 'message')
      worker.send({ ms: MS, writes })
      const [answer] = await answered
      return answer
    }),
  )
  const sum = (value) => answers.reduce((all, one) => all + value(one), 0)
  const took = answers.flatMap((one) => one.took).sort((a, b) => a - b)
  const operations = sum((one) => one.operations)
  return {
    cpuUs: sum((one) => one.cpuUs) / operations,
    perSecond: (operations * 1000) / MS,
    setMs: (share) => took[Math.min(took.length - 1, Math.floor(share * took.length))],
  }
}
