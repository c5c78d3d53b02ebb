import type { Result } from './tally.ts'

/** A run in a dozen lines. */
export function summary(result: Result): string {
  const { counts, options, seconds, stale, failed } = result
  const perSecond = counts.operations / seconds
  return [
    `${result.problems.length === 0 ? 'ok    ' : 'FAILED'} ${options.name}, seed ${options.seed}, ` +
      `${seconds.toFixed(0)} s: ${counts.operations} operations (${perSecond.toFixed(0)}/s), ` +
      `${counts.reads} reads, ${counts.checked} of them of cached values, ${stale} stale, ${failed} failed, ` +
      `slowest ${(counts.slowestUs / 1000).toFixed(0)} ms` +
      (result.foundAfter === undefined ? '' : `; first after ${result.foundAfter.toFixed(1)} s`),
    `  faults   ${counted(result.struck.map(({ name }) => name))}`,
    ...(result.recoveredMs === undefined
      ? []
      : [`  well     ${result.recoveredMs.toFixed(0)} ms after the last operation`]),
    ...[...result.allowed].map(
      ([row, { reads, latestMs }]) =>
        `  allowed  ${reads} reads, at most ${latestMs.toFixed(0)} ms late: ${row}`,
    ),
    ...[...result.leftOut].map(([name, why]) => `  LEFT OUT ${name}: ${why}`),
  ].join('\n')
}

/** What went wrong, where to look, and how to have it again. */
export function failure(result: Result): string {
  return [
    ...result.problems.map((problem) => `    ${problem}`),
    ...result.stories.map((story) => `  ${story}`),
    `  logs     ${result.logs}`,
    `  again    ${replay(result)}`,
  ].join('\n')
}

export function replay({ options }: Result): string {
  const minutes = (options.seconds / 60).toFixed(2)
  return `npm run test:chaos -- --profile ${options.name} --seed ${options.seed} --minutes ${minutes}`
}

/** Many runs in one line. With no stale read in n, the rate is below 3/n with 95 % certainty. */
export function total(results: readonly Result[]): string {
  const sum = (of: (result: Result) => number): number =>
    results.reduce((all, result) => all + of(result), 0)
  const [checked, stale] = [sum((one) => one.counts.checked), sum((one) => one.stale)]
  const allowed = sum((one) => [...one.allowed.values()].reduce((all, { reads }) => all + reads, 0))
  const slowest = Math.max(0, ...results.map((one) => one.counts.slowestUs / 1000))
  const bound =
    stale > 0
      ? `${(stale / checked).toExponential(1)} seen`
      : `< ${(3 / checked).toExponential(1)} at 95 %`
  return [
    `total: ${(sum((one) => one.seconds) / 60).toFixed(1)} minutes in ${results.length} runs, ` +
      `${sum((one) => one.counts.operations)} operations`,
    `       checked reads ${sum((one) => one.counts.reads)}, ${checked} of them of cached values`,
    `       stale ${stale} (rate ${bound}), allowed and bounded ${allowed}`,
    `       failed ${sum((one) => one.failed)}, slowest ${slowest.toFixed(0)} ms`,
  ].join('\n')
}

function counted(names: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  const entries = [...counts].toSorted(([, a], [, b]) => b - a)
  return entries.length === 0 ? '-' : entries.map(([name, n]) => `${name} ${n}`).join(', ')
}
