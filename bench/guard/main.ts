// Reproduces the tables of the decision rule by simulation, markdown on stdout.
//   npm run bench:guard -- [--runs N] [--polls N] [--seed N] [--only SECTION]
// Sections: false-rollbacks, detection, advance, rollouts, cold-cache. More runs, more precise.
import { parseArgs } from 'node:util'
import { CACHES, coldCache } from './cold-cache.ts'
import { advance, CHANGES, detectionTimes, quantile, STEPS } from './detection.ts'
import { BASE_RATES, falseRollbacks, ROWS, SHARES, watchers } from './false-rollbacks.ts'
import { rollout, STORIES } from './rollouts.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '20' },
    polls: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
  },
})
const runs = Number(values.runs)
const polls = Number(values.polls)
const seed = Number(values.seed)

function print(cells: readonly string[]): void {
  console.log(`| ${cells.join(' | ')} |`)
}

function header(cells: readonly string[]): void {
  print(cells)
  print(cells.map(() => '---'))
}

function wanted(name: string): boolean {
  return values.only === '' || values.only === name
}

function seconds(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value)) : '>'
}

if (wanted('false-rollbacks')) {
  console.log(`\n## Healthy rollouts taken back within ${polls} polls, %`)
  console.log(`${runs} runs a cell, the worst of 5, 25 and 50 %; base rates .1/1/5 %\n`)
  const names = watchers().map(({ name }) => name)
  header(['errors', ...names])
  for (const row of ROWS) {
    const worst = new Map(names.map((name) => [name, [] as number[]]))
    for (const rate of BASE_RATES) {
      const shares = row.drift === true ? [0.5] : SHARES
      const cells = shares.map((share) => falseRollbacks(row, rate, share, { runs, polls, seed }))
      for (const name of names) {
        worst.get(name)!.push(Math.max(...cells.map((cell) => cell.get(name)!)) * 100)
      }
    }
    print([
      row.name,
      ...names.map((name) =>
        worst
          .get(name)!
          .map((v) => v.toFixed(0))
          .join('/'),
      ),
    ])
  }
}

if (wanted('detection')) {
  console.log(`\n## Detection: median (p90) seconds at 5/25/50 %`)
  console.log(`${runs} runs a cell, 100 operations a second, alpha 1 %; > not within the time\n`)
  const names = ['SPRT', 'guard', 'guard, 0 % tolerated', 'asymptotic CS', 'mSPRT']
  header(['change', ...names])
  for (const change of CHANGES) {
    if (change.seconds > 10_000 && runs > 40) continue
    const shares = SHARES.map((share) => detectionTimes(change, share, { runs, seed }))
    print([
      change.name,
      ...names.map((name) =>
        shares
          .map((times) => {
            const list = times.get(name) ?? []
            if (list.length === 0) return '-'
            return `${seconds(quantile(list, 0.5))}(${seconds(quantile(list, 0.9))})`
          })
          .join(' '),
      ),
    ])
  }
}

if (wanted('advance')) {
  console.log(`\n## Healthy rollouts: median hold of each step, seconds`)
  console.log(`${runs} runs a row, errors with a harm budget of .1 %\n`)
  header(['errors', ...STEPS.slice(0, -1).map((s) => `${s * 100} %`), 'total min', 'starved %'])
  for (const [rate, perSecond] of [
    [0.0001, 100],
    [0.001, 100],
    [0.01, 100],
    [0.05, 100],
    [0.001, 1000],
    [0.001, 10],
  ] as const) {
    const list = Array.from({ length: runs }, (_, run) => advance(rate, seed + run * 31, perSecond))
    const done = list.filter((run) => !run.starved)
    const holds = STEPS.slice(0, -1).map((_, step) =>
      done.length === 0
        ? Infinity
        : quantile(
            done.map((run) => run.holds[step]!),
            0.5,
          ),
    )
    const total = holds.reduce((sum, hold) => sum + hold, 0) / 60
    print([
      `${rate * 100} %, ${perSecond} ops/s`,
      ...holds.map((hold) => seconds(hold)),
      total.toFixed(0),
      ((1 - done.length / runs) * 100).toFixed(0),
    ])
  }
}

if (wanted('rollouts')) {
  console.log(`\n## Whole rollouts: three metrics, 100 operations a second`)
  console.log(`${runs} runs a row; excess: failures more than the old side would have had\n`)
  header(['rollout', 'finished %', 'rolled back %', 'starved %', 'median min', 'median excess'])
  for (const story of STORIES) {
    const list = Array.from({ length: runs }, (_, run) => rollout(story, seed + run * 613))
    const share = (end: string): string =>
      ((list.filter((one) => one.end === end).length / runs) * 100).toFixed(0)
    const minutes = quantile(
      list.map((one) => one.seconds / 60),
      0.5,
    )
    const excess = quantile(
      list.map((one) => one.excess),
      0.5,
    )
    print([
      story.name,
      ...['finished', 'rolled back', 'starved'].map((end) => share(end)),
      minutes.toFixed(0),
      excess.toFixed(0),
    ])
  }
}

if (wanted('cold-cache')) {
  console.log(`\n## A new cache, empty at the start: repeat misses instead of hit rates`)
  console.log(`Zipf keys, TTL 600 s; ${runs} runs a cell, up to 30 minutes at 5/25 %\n`)
  header(['new cache', 'misses on/off at 5 %', 'rolled back %', 'median seconds'])
  for (const cache of CACHES) {
    const cells = [0.05, 0.25].map((share) =>
      Array.from({ length: runs }, (_, run) => coldCache(cache, share, seed + run * 97, 1800)),
    )
    const misses = cells[0]![0]!
    print([
      cache.name,
      `${(misses.missesOn * 100).toFixed(0)}/${(misses.missesOff * 100).toFixed(0)} %`,
      cells
        .map((cell) => ((cell.filter((run) => run.back < Infinity).length / runs) * 100).toFixed(0))
        .join('/'),
      cells
        .map((cell) =>
          seconds(
            quantile(
              cell.map((run) => run.back),
              0.5,
            ),
          ),
        )
        .join('/'),
    ])
  }
}
