// Reproduces the tables of the decision rule by simulation, markdown on stdout, each goal met or missed.
//   npm run bench:guard -- [--runs N] [--polls N] [--seed N] [--only SECTION]
// Sections: blips, false-rollbacks, detection, traffic, faults, second-attempts, estimates, cold-cache.
// More runs, more precise; the whole takes minutes with the default of 10.
import { parseArgs } from 'node:util'
import { backShare, BLIPS, blipsGoal, blipsTimes, blipsWatchers } from './blips.ts'
import { CACHES, coldCache } from './cold-cache.ts'
import { CHANGES, detectionTimes, detectors } from './detection.ts'
import { estimateRatios } from './estimates.ts'
import { BASE_RATES, falseRollbacks, ROWS, SHARES, watchers } from './false-rollbacks.ts'
import { FAULTS, rollout, SECOND_ATTEMPTS, TRAFFIC } from './rollouts.ts'
import type { Story } from './rollouts.ts'
import { quantile } from './trial.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '10' },
    polls: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
  },
})
const runs = Number(values.runs)
const polls = Number(values.polls)
const seed = Number(values.seed)
let missed = 0

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

function percent(share: number): string {
  return (share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)
}

function goal(problems: readonly string[]): string {
  if (problems.length > 0) missed++
  return problems.length === 0 ? 'met' : `missed: ${problems.join(', ')}`
}

if (wanted('blips')) {
  console.log('\n## Only the new side blips: taken back, % (median s), worst of 5, 25, 50 %')
  console.log(
    `${runs} runs a cell, 100 operations/s; all operations of the new side are bad meanwhile\n`,
  )
  const names = blipsWatchers().map(({ name }) => name)
  header(['blips', ...names, 'goal'])
  for (const blips of BLIPS) {
    const cells = SHARES.map((share) => blipsTimes(blips, share, { runs, seed }))
    const columns = names.map((name) => {
      const lists = cells.map(({ times }) => times.get(name)!)
      const worst = Math.max(...lists.map((list) => backShare(list)))
      const median = Math.max(...lists.map((list) => quantile(list, 0.5)))
      return percent(worst) + (worst > 0.5 ? ` (${seconds(median)})` : '')
    })
    print([blips.name, ...columns, goal(blipsGoal(blips, cells))])
  }
}

if (wanted('false-rollbacks')) {
  console.log(`\n## Healthy on both sides: taken back within ${polls} polls, %`)
  console.log(
    `${runs} runs a cell, worst of 5, 25, 50 %; base rates .1/1/5 %; one of three metrics\n`,
  )
  const names = watchers().map(({ name }) => name)
  header(['errors', ...names, 'goal'])
  for (const row of ROWS) {
    const worst = new Map(names.map((name) => [name, [] as number[]]))
    for (const rate of row.rates ?? BASE_RATES) {
      const shares = row.drift === true ? [0.5] : SHARES
      const cells = shares.map((share) => falseRollbacks(row, rate, share, { runs, polls, seed }))
      for (const name of names) {
        worst.get(name)!.push(Math.max(...cells.map((cell) => cell.get(name)!)))
      }
    }
    // One of few runs is no proof against 1 %.
    const most = Math.max(0.01, 1.5 / runs)
    const over = ['failed', 'degraded'].filter((name) => Math.max(...worst.get(name)!) > most)
    print([row.name, ...names.map((name) => worst.get(name)!.map(percent).join('/')), goal(over)])
  }
}

if (wanted('detection')) {
  console.log('\n## Detection: median (p90) seconds at 5/25/50 %')
  console.log(`${runs} runs a cell, 100 operations/s; > not within the time\n`)
  const names = detectors().map(({ name }) => name)
  header(['change', ...names, 'goal'])
  for (const change of CHANGES) {
    const shares = SHARES.map((share) => detectionTimes(change, share, { runs, seed }))
    const late = (['failed', 'degraded'] as const).filter((id) =>
      shares.some((times) => quantile(times.get(id)!, 0.5) > (change.goal?.[id] ?? Infinity)),
    )
    const columns = names.map((name) =>
      shares
        .map((times) => {
          const list = times.get(name)!
          return `${seconds(quantile(list, 0.5))}(${seconds(quantile(list, 0.9))})`
        })
        .join(' '),
    )
    print([change.name, ...columns, change.goal === undefined ? '' : goal(late)])
  }
}

function stories(title: string, list: readonly Story[], second = false): void {
  console.log(`\n## ${title}`)
  console.log(
    `${runs} runs a row, three metrics; harmed: operations more than the old side spoils\n`,
  )
  header(['rollout', 'finished %', 'taken back %', 'given up %', 'median', 'harmed', 'goal'])
  for (const story of list) {
    const ends = Array.from({ length: runs }, (_, run) => rollout(story, seed + run * 613, second))
    const share = (end: string): number => ends.filter((one) => one.end === end).length / runs
    const median = quantile(
      ends.map((one) => one.seconds),
      0.5,
    )
    const harmed = quantile(
      ends.map((one) => one.harmed),
      0.5,
    )
    const enough = story.goal === undefined || share(story.goal.end) >= story.goal.atLeast
    print([
      story.name,
      ...['finished', 'rolled back', 'given up'].map((end) => percent(share(end))),
      median < 600 ? `${median} s` : `${(median / 60).toFixed(0)} min`,
      harmed.toFixed(0),
      goal(enough ? [] : [`not ${story.goal?.end}`]),
    ])
  }
}

if (wanted('traffic')) stories('Traffic: a clean new side', TRAFFIC)
if (wanted('faults')) stories('Faulty rollouts', FAULTS)
if (wanted('second-attempts')) {
  stories('Second attempts, after an outage at 25 % was taken back', SECOND_ATTEMPTS, true)
}

if (wanted('estimates')) {
  console.log('\n## How long a step took, divided by what was said')
  console.log(`${runs} runs a row, asked 15 s to 20 min into a step of 10 %\n`)
  header(['traffic', '10 %', '50 %', '90 %', 'goal'])
  for (const [perSecond, base] of [
    [100, 0],
    [100, 0.001],
    [10, 0],
  ] as const) {
    const ratios = Array.from({ length: runs }, (_, run) =>
      estimateRatios(seed + run * 31, { perSecond, base, askedS: [15, 60, 180, 600, 1200] }),
    ).flat()
    const near = ratios.filter((ratio) => ratio > 0.5 && ratio < 2).length / ratios.length
    print([
      `${perSecond}/s, base ${percent(base)} %`,
      ...[0.1, 0.5, 0.9].map((q) => quantile(ratios, q).toFixed(2)),
      goal(near >= 0.8 ? [] : [`only ${percent(near)} % within a factor of 2`]),
    ])
  }
}

if (wanted('cold-cache')) {
  console.log('\n## A new cache, empty at the start: repeat misses instead of hit rates')
  console.log(`Zipf keys, TTL 600 s; ${runs} runs a cell, up to 30 minutes at 5/25 %\n`)
  header(['new cache', 'misses on/off at 5 %', 'taken back %', 'median seconds', 'goal'])
  for (const cache of CACHES) {
    const cells = [0.05, 0.25].map((share) =>
      Array.from({ length: runs }, (_, run) => coldCache(cache, share, seed + run * 97, 1800)),
    )
    const misses = cells[0]![0]!
    const back = cells.map((cell) => backShare(cell.map((run) => run.back)))
    const healthy = cache === CACHES[0]
    const wrong = healthy ? back.some((share) => share > 0) : back.some((share) => share < 0.9)
    print([
      cache.name,
      `${percent(misses.missesOn)}/${percent(misses.missesOff)} %`,
      back.map(percent).join('/'),
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
      goal(wrong ? ['taken back or not, wrongly'] : []),
    ])
  }
}

console.log(missed === 0 ? '\nEvery goal is met.' : `\n${missed} goals are missed.`)
process.exitCode = missed === 0 ? 0 : 1
