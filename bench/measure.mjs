/** Interleaved rounds in one process: what drifts, drifts for every contender alike. */
import { performance } from 'node:perf_hooks'

/**
 * Runs each contender's operation `count` times per round, `inFlight` at once, in turn, and returns
 * medians: wall microseconds and CPU microseconds an operation, and operations a second.
 */
export async function compare(contenders, { rounds = 7, count = 20_000, inFlight = 64 } = {}) {
  const samples = new Map(contenders.map(({ name }) => [name, []]))
  for (let round = -1; round < rounds; round += 1) {
    for (const { name, run } of contenders) {
      const cpu = process.cpuUsage()
      const start = performance.now()
      await inParallel(run, count, inFlight)
      const wallMs = performance.now() - start
      const { user, system } = process.cpuUsage(cpu)
      // The first round warms up.
      if (round >= 0)
        samples.get(name).push({ wallUs: (wallMs * 1000) / count, cpuUs: (user + system) / count })
    }
  }
  return contenders.map(({ name }) => {
    const all = samples.get(name)
    const cpu = all.map((one) => one.cpuUs).sort((a, b) => a - b)
    const wall = all.map((one) => one.wallUs).sort((a, b) => a - b)
    return {
      name,
      cpuUs: middle(cpu),
      cpuSpread: `${cpu[0].toFixed(1)}-${cpu.at(-1).toFixed(1)}`,
      wallUs: middle(wall),
      perSecond: 1e6 / middle(wall),
    }
  })
}

async function inParallel(run, count, inFlight) {
  let next = 0
  const worker = async () => {
    while (next < count) {
      next += 1
      const result = run(next)
      if (result instanceof Promise) await result
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
}

const middle = (sorted) => sorted[Math.floor(sorted.length / 2)]

/** A Markdown table. */
export function table(headings, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')
}
