import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Struck } from './fault.ts'
import type { Finding } from './ground.ts'

const SHOWN = 60
const BEFORE_US = 150_000
/** Lines of a log that tell of all keys. */
const GENERAL = new Set(['event', 'warning', 'made', 'stall', 'clear?', 'clear', 'end'])

/** What led to a stale read: who did what to its key, which faults were at work, in order of time. */
export function story(logs: string, finding: Finding, struck: readonly Struck[]): string {
  const { key, value, from = 0, fresh = 0 } = finding
  const since = Math.min(value?.at ?? from, fresh) - BEFORE_US
  const lines = readdirSync(logs)
    .filter((name) => name.endsWith('.log'))
    .flatMap((name) => linesOf(logs, name, key))
  const faults = struck.flatMap(({ name, from: began, to }) => [
    { at: began, text: `-- ${name} begins` },
    ...(Number.isFinite(to) ? [{ at: to, text: `-- ${name} ends` }] : []),
  ])
  const told = [...lines, ...faults]
    .filter(({ at }) => at >= since && at <= finding.foundAt)
    .toSorted((a, b) => a.at - b.at)
  const under = struck.filter((one) => one.from < since && one.to > since).map(({ name }) => name)
  const shown =
    told.length <= SHOWN
      ? told
      : [...told.slice(0, SHOWN / 2), { at: Number.NaN, text: '...' }, ...told.slice(-SHOWN / 2)]
  return [
    `the story of ${key} (times in ms; v${fresh} is the write that the read should have seen)`,
    ...(under.length > 0 ? [`   at work already: ${under.join(', ')}`] : []),
    ...shown.map(({ at, text }) =>
      Number.isNaN(at) ? text : `${((at - since) / 1000).toFixed(3).padStart(12)}  ${text}`,
    ),
  ].join('\n    ')
}

function linesOf(
  logs: string,
  name: string,
  key: string | undefined,
): readonly { readonly at: number; readonly text: string }[] {
  return readFileSync(join(logs, name), 'utf8')
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([, what = '', of]) => GENERAL.has(what) || of === key)
    .map(([at, ...rest]) => ({
      at: Number(at),
      text: `${name.split('.')[0]} ${rest.filter((word) => word !== '' && word !== key).join(' ')}`,
    }))
}
