/** Interleaved rounds in one process: what drifts, drifts for every contender alike. */
import { performance } from 'node:perf_hooks'

/**
 * Runs each contender's operation `count` times per round, `inFlight` at once, in turn, and returns
 * medians: wall microseconds and CPU microseconds an operation (of this process, all its threads), and
 * operations a second. Who begins changes from round to round, so that nobody always cleans up after
 * the same neighbour. A contender may bring a `count` of its own, a `prepare` that is not measured, and
 * a `batch`: how many operations one call of its `run` does.
 */
export async function compare(contenders, { rounds = 7, count = 20_000, inFlight = 64 } = {}) {
  const samples = new Map(contenders.map(({ name }) => [name, []]))
  for (let round = -1; round < rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const contender = contenders[(turn + Math.max(round, 0)) % contenders.length]
      const times = contender.count ?? count
      await contender.prepare?.()
      const cpu = process.cpuUsage()
      const start = performance.now()
      await inParallel(contender.run, times / (contender.batch ?? 1), inFlight)
      const wallMs = performance.now() - start
      const { user, system } = process.cpuUsage(cpu)
      // The first round warms up.
      if (round >= 0) {
        const sample = { wallUs: (wallMs * 1000) / times, cpuUs: (user + system) / times }
        samples.get(contender.name).push(sample)
      }
    }
  }
  return contenders.map(({ name }) => {
    const cpuSamples = samples.get(name).map((one) => one.cpuUs)
    const wallSamples = samples.get(name).map((one) => one.wallUs)
    const wallUs = median(wallSamples)
    return {
      name,
      cpuUs: median(cpuSamples),
      cpuSpread: spread(cpuSamples),
      wallUs,
      wallSpread: spread(wallSamples),
      perSecond: 1e6 / wallUs,
      cpuSamples,
      wallSamples,
    }
  })
}

/** Microseconds of CPU that `one` costs more than `reference`: the median over the rounds. */
export function cpuOver(one, reference) {
  return median(one.cpuSamples.map((cpuUs, round) => cpuUs - reference.cpuSamples[round]))
}

/** CPU of `one` as a multiple of that of `reference`, or of several one after the other: the median over the rounds. */
export function cpuTimes(one, ...references) {
  return median(
    one.cpuSamples.map(
      (cpuUs, round) => cpuUs / references.reduce((sum, each) => sum + each.cpuSamples[round], 0),
    ),
  )
}

/** Throughput of `one` as a share of that of `reference`: the median over the rounds. */
export function throughputShare(one, reference) {
  return median(one.wallSamples.map((wallUs, round) => reference.wallSamples[round] / wallUs))
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

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]
}

function spread(values) {
  const digits = Math.min(...values) < 1 ? 2 : 1
  return `${Math.min(...values).toFixed(digits)}-${Math.max(...values).toFixed(digits)}`
}

/** A Markdown table. */
export function table(headings, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(headings), line(headings.map(() => '---')), ...rows.map(line)].join('\n')
}
