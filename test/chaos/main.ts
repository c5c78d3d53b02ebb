// `npm run test:chaos`: every profile in turn, for ten minutes or as long as wished. Compiled and run
// by scripts/chaos.mjs.
import { parseArgs } from 'node:util'
import { runChaos } from './chaos-run.ts'
import { PROFILES } from './profiles.ts'
import { failure, summary, total } from './report.ts'
import type { Result } from './tally.ts'
import type { Planted } from './workers.ts'

class BadOption extends Error {}

interface Wanted {
  readonly minutes: number
  readonly seed: number
  readonly profiles: readonly string[]
  readonly package: string | undefined
  readonly untilFound: boolean
  readonly planted: Planted | undefined
}

const DEFAULT_MINUTES = 10
const MOST_MINUTES = 7 * 24 * 60
/** A longer run is many of these with other seeds: stores and processes begin anew. */
const LONGEST_SECTION_S = 120

function readOptions(args: readonly string[]): Wanted {
  const { values } = parse(args)
  const profiles = values.profile?.split(',') ?? Object.keys(PROFILES)
  for (const name of profiles) {
    if (name in PROFILES) continue
    throw new BadOption(
      `--profile: no such thing as "${name}"; there are ${Object.keys(PROFILES).join(', ')}`,
    )
  }
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9))
  if (!Number.isInteger(seed) || seed < 0) {
    throw new BadOption(`--seed must be a whole number, not "${values.seed}"`)
  }
  const minutes = Number(values.minutes ?? DEFAULT_MINUTES)
  if (!(minutes > 0 && minutes <= MOST_MINUTES)) {
    throw new BadOption(`--minutes must be a number up to ${MOST_MINUTES}, not "${values.minutes}"`)
  }
  return {
    minutes,
    seed,
    profiles,
    package: values.package,
    untilFound: values['until-found'] === true,
    planted: values.plant as Planted | undefined,
  }
}

interface Given {
  readonly minutes?: string | undefined
  readonly seed?: string | undefined
  readonly profile?: string | undefined
  readonly package?: string | undefined
  readonly 'until-found'?: boolean | undefined
  readonly plant?: string | undefined
}

function parse(args: readonly string[]): { readonly values: Given } {
  const text = { type: 'string' } as const
  const options = {
    minutes: text,
    seed: text,
    profile: text,
    package: text,
    plant: text,
    'until-found': { type: 'boolean' },
  } as const
  try {
    return parseArgs({ args: [...args], options })
  } catch (error) {
    throw new BadOption((error as Error).message.split('\n')[0])
  }
}

async function main(): Promise<number> {
  const {
    minutes,
    seed,
    profiles,
    untilFound,
    planted,
    package: built,
  } = readOptions(process.argv.slice(2))
  console.log(`chaos: seed ${seed}, ${minutes} minutes, ${profiles.join(', ')}`)
  const results: Result[] = []
  let unfinished = 0
  const rounds = Math.ceil((minutes * 60) / profiles.length / LONGEST_SECTION_S)
  const seconds = (minutes * 60) / profiles.length / rounds
  for (let round = 0; round < rounds; round += 1) {
    for (const name of profiles) {
      const result = await runChaos({
        name,
        profile: PROFILES[name]!,
        seconds,
        seed: seed + round,
        untilFound,
        ...(planted === undefined ? {} : { planted }),
        ...(built === undefined ? {} : { package: built }),
      }).catch((error: unknown) => console.log(`FAILED ${name} could not be run: ${String(error)}`))
      if (result === undefined) {
        unfinished += 1
        continue
      }
      results.push(result)
      console.log(summary(result))
      if (result.problems.length > 0) console.log(failure(result))
    }
  }
  console.log(total(results))
  const ok = unfinished === 0 && results.every(({ problems }) => problems.length === 0)
  return ok ? 0 : 1
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
