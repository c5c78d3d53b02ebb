// `npm run test:chaos`: every topology under every fault, within ten minutes. Compiled and run by
// scripts/chaos.mjs.
import { parseArgs } from 'node:util'
import { runChaos, type ChaosOptions } from './chaos-run.ts'
import { FAULTS, faultsFor } from './faults.ts'
import { randomFor } from './random.ts'
import { failure, replay, summary } from './report.ts'
import { TOPOLOGIES, type Topology } from './stage.ts'

const STANDBYS = ['invalidate', 'mirror', 'compare']

/** What stopping, healing and judging a section takes at most is not load: 10 minutes in all. */
const DEFAULT_SECONDS = 360

/** Share of the time. The last is the section of what docs/guarantees.md does not promise. */
const SECTIONS: readonly (Pick<ChaosOptions, 'topology' | 'faults'> & {
  readonly share: number
})[] = [
  { topology: 'standalone', share: 0.36 },
  { topology: 'cluster', share: 0.32 },
  { topology: 'sentinel', share: 0.26 },
  { topology: 'standalone', faults: ['evict', 'killProcess', 'editFlags'], share: 0.06 },
]

class BadOption extends Error {}

interface Wanted {
  readonly seconds: number
  readonly seed: number
  readonly topology: Topology | undefined
  readonly standby: string | undefined
  readonly faults: readonly string[] | undefined
}

function readOptions(args: readonly string[]): Wanted {
  const { values } = parse(args)
  const topology = oneOf('topology', values.topology, TOPOLOGIES)
  const faults = values.faults?.split(',')
  for (const name of faults ?? []) oneOf('faults', name, Object.keys(FAULTS))
  if (topology !== undefined && faultsFor(topology, faults).size === 0) {
    throw new BadOption(`--faults ${values.faults}: none of them concerns ${topology}`)
  }
  return {
    seconds: numberOf('seconds', values.seconds ?? String(DEFAULT_SECONDS), 1, DEFAULT_SECONDS),
    seed: numberOf('seed', values.seed ?? String(Math.floor(Math.random() * 1e9)), 0, 2 ** 32 - 1),
    topology,
    standby: oneOf('standby', values.standby, STANDBYS),
    faults,
  }
}

interface Given {
  readonly seconds?: string | undefined
  readonly seed?: string | undefined
  readonly topology?: string | undefined
  readonly standby?: string | undefined
  readonly faults?: string | undefined
}

function parse(args: readonly string[]): { readonly values: Given } {
  const text = { type: 'string' } as const
  try {
    return parseArgs({
      args: [...args],
      options: { seconds: text, seed: text, topology: text, standby: text, faults: text },
    })
  } catch (error) {
    throw new BadOption((error as Error).message.split('\n')[0])
  }
}

function oneOf<T extends string>(
  option: string,
  value: string | undefined,
  known: readonly T[],
): T | undefined {
  const found = known.find((one) => one === value)
  if (value === undefined || found !== undefined) return found
  throw new BadOption(`--${option}: no such thing as "${value}"; there are ${known.join(', ')}`)
}

function numberOf(option: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new BadOption(`--${option} must be a whole number from ${least} to ${most}, not "${text}"`)
}

function sectionsOf(wanted: Wanted): readonly ChaosOptions[] {
  const { topology, faults, seconds, seed } = wanted
  const chosen =
    topology !== undefined
      ? [{ topology, faults, share: 1 }]
      : faults === undefined
        ? SECTIONS
        : SECTIONS.filter((one) => one.faults === undefined).map((one) => ({ ...one, faults }))
  const shares = chosen.reduce((sum, { share }) => sum + share, 0)
  return chosen
    .filter((one) => faultsFor(one.topology!, one.faults).size > 0)
    .map((one) => ({
      topology: one.topology!,
      ...(one.faults === undefined ? {} : { faults: one.faults }),
      seconds: Math.max(1, Math.round((seconds * one.share) / shares)),
      seed,
      standby: wanted.standby ?? (randomFor(seed, one.topology!)() < 0.5 ? 'invalidate' : 'mirror'),
    }))
}

async function main(): Promise<number> {
  const wanted = readOptions(process.argv.slice(2))
  console.log(`chaos: seed ${wanted.seed}`)
  let failures = 0
  for (const options of sectionsOf(wanted)) {
    const report = await runChaos(options)
    const ok = report.verdict.problems.length === 0
    console.log(`${ok ? 'ok    ' : 'FAILED'} ${replay(report)}\n${summary(report)}`)
    if (!ok) console.log(failure(report))
    failures += ok ? 0 : 1
  }
  return failures === 0 ? 0 : 1
}

// So that an interrupted run, too, leaves nothing behind.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
try {
  // Connections to servers that were frozen or killed may linger.
  process.exit(await main())
} catch (error) {
  if (!(error instanceof BadOption)) throw error
  console.error(`test:chaos: ${error.message}`)
  process.exit(2)
}
