import type { Parameters } from 'fast-check'
import { mutate, type MutationOptions, Random } from './byte-mutations.ts'
import { inFull } from '../support/full.ts'
import { longestStall, MOST_STALL_MS } from './stall.ts'

/** `npm run test:fuzz -- --seed N` */
export const SEED: number = Number(process.env['SWITCHBACK_SEED'] ?? 1)

/** In thousandths of `usual`: `npm run test:fuzz -- --runs 20000` runs twenty times as many. */
const THOUSANDTHS = Number(process.env['SWITCHBACK_RUNS'] ?? inFull(200, 1000))

/** For tests that run longer with more runs. */
export const TIMEOUT: number = Math.max(60_000, 60 * THOUSANDTHS)

/** How many runs a check gets: `usual` ones in `npm run test:full`, and a fifth of them in `npm test`. */
export function runs(usual: number): number {
  return Math.max(1, Math.round((usual * THOUSANDTHS) / 1000))
}

/** For `fc.assert`: fast-check prints the seed and the path of a failure itself. */
export function parameters<T>(usual: number): Parameters<T> {
  return { numRuns: runs(usual), seed: SEED }
}

export interface FuzzOptions extends MutationOptions {
  /** Runs in `npm run test:full`; a fifth of them in `npm test`. */
  readonly usual: number
  /** Checks under way at a time. @default 1 */
  readonly together?: number
  /** Most milliseconds that the check may hold the thread; `Infinity`: it is measured elsewhere. @default {@link MOST_STALL_MS} */
  readonly mostStallMs?: number
}

/**
 * Gives damaged copies of the corpus to a check, the undamaged ones first. A failure names its seed and
 * the bytes.
 */
export async function fuzzBytes(
  options: FuzzOptions,
  check: (bytes: Buffer) => void | Promise<void>,
): Promise<void> {
  const { corpus, usual, together = 1, mostStallMs = MOST_STALL_MS } = options
  for (const bytes of corpus) await attempt(check, bytes, mostStallMs, 'undamaged')
  const count = runs(usual)
  let next = SEED
  const work = async (): Promise<void> => {
    while (next < SEED + count) {
      const seed = next++
      const random = new Random(seed)
      const bytes = mutate(random.pick(corpus), random, options)
      await attempt(check, bytes, mostStallMs, `SWITCHBACK_SEED=${seed} SWITCHBACK_RUNS=1`)
    }
  }
  await Promise.all(Array.from({ length: together }, work))
}

async function attempt(
  check: (bytes: Buffer) => void | Promise<void>,
  bytes: Buffer,
  mostStallMs: number,
  replay: string,
): Promise<void> {
  try {
    const stall = await longestStall(() => check(bytes), mostStallMs)
    if (stall > mostStallMs) throw new Error(`held the thread for ${stall.toFixed(0)} ms`)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const input = bytes.length > 4096 ? `${bytes.length} bytes` : bytes.toString('base64')
    throw new Error(`${why}\nreplay: ${replay}\nbase64: ${input}`, { cause })
  }
}
