import type { ChaosOptions } from './chaos-run.ts'
import { now } from './clock.ts'
import type { Scene, Struck } from './fault.ts'
import type { Counts, Finding } from './ground.ts'
import { judge } from './judge.ts'
import { story } from './story.ts'

const LARGEST_GROWTH = 192 * 2 ** 20
const SHOWN = 8
const STORIES = 3

/** A stale read that docs/guarantees.md has a row for. */
export interface Allowed {
  readonly reads: number
  /** The longest time after the write that it does not know of, in milliseconds. */
  readonly latestMs: number
}

export interface Result {
  readonly options: ChaosOptions
  readonly counts: Counts
  readonly stale: number
  readonly failed: number
  readonly allowed: ReadonlyMap<string, Allowed>
  /** What broke a promise, one line each; only the first of many alike. */
  readonly problems: readonly string[]
  /** What led to the first stale reads. */
  readonly stories: readonly string[]
  /** How long the load lasted. */
  readonly seconds: number
  /** After how many seconds of it the first problem was found. */
  readonly foundAfter: number | undefined
  readonly recoveredMs: number | undefined
  readonly struck: readonly Struck[]
  /** Faults that this machine cannot have, with the reason. */
  readonly leftOut: ReadonlyMap<string, string>
  /** Where the records are, when a promise was broken. */
  readonly logs: string
}

interface Parts {
  readonly options: ChaosOptions
  readonly scene: Omit<Scene, 'random'>
  readonly struck: readonly Struck[]
  readonly logs: string
}

/** Collects what a run finds. */
export class Tally {
  recoveredMs: number | undefined
  readonly #parts: Parts
  readonly #problems = new Map<string, string[]>()
  readonly #stories: string[] = []
  readonly #allowed = new Map<string, Allowed>()
  #stale = 0
  #failed = 0
  #began = 0
  #seconds = 0
  #foundAfter: number | undefined
  #leftOut: ReadonlyMap<string, string> = new Map()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get options(): ChaosOptions {
    return this.#parts.options
  }

  get broken(): boolean {
    return this.#problems.size > 0
  }

  began(): void {
    this.#began = now()
  }

  ended(leftOut: ReadonlyMap<string, string>): void {
    this.#seconds = (now() - this.#began) / 1e6
    this.#leftOut = leftOut
  }

  /** Judges what the processes have found since the last look. */
  look(): void {
    const { scene, struck, logs, options } = this.#parts
    const twoMachines = options.profile.foreignBoot
    const cluster = options.profile.topology === 'cluster'
    const machines = options.profile.machines !== undefined
    const pair = options.profile.old !== undefined
    const tombstoneTtl = Math.max(...options.profile.tombstoneTtls)
    const found = scene.ground.findings(scene.workers.map(({ id }) => id))
    for (const finding of found) {
      const circumstances = { ...scene, struck, tombstoneTtl, twoMachines, cluster, machines, pair }
      const judgement = judge(finding, circumstances)
      if (judgement.outcome === 'fine') continue
      if (judgement.outcome === 'allowed') {
        const { row, lateMs } = judgement
        const { reads, latestMs } = this.#allowed.get(row) ?? { reads: 0, latestMs: 0 }
        this.#allowed.set(row, { reads: reads + 1, latestMs: Math.max(latestMs, lateMs) })
      } else if (judgement.outcome === 'stale') {
        this.#stale += 1
        this.#add('stale', describe(finding), finding.foundAt)
        if (this.#stories.length < STORIES) this.#stories.push(story(logs, finding, struck))
      } else {
        this.#failed += 1
        this.#add(finding.kind, describe(finding), finding.foundAt)
      }
    }
  }

  problem(text: string): void {
    this.#failed += 1
    this.#add(text.slice(0, 40), text, now())
  }

  result(): Result {
    const { options, scene, struck, logs } = this.#parts
    const counts = scene.ground.counts()
    if (counts.grownBytes > LARGEST_GROWTH) {
      this.problem(`a process grew by ${(counts.grownBytes / 2 ** 20).toFixed(0)} MiB`)
    }
    return {
      options,
      counts,
      stale: this.#stale,
      failed: this.#failed,
      allowed: this.#allowed,
      problems: [...this.#problems.values()].flatMap((lines) =>
        lines.length <= SHOWN
          ? lines
          : [...lines.slice(0, SHOWN), `... and ${lines.length - SHOWN} more like these`],
      ),
      stories: this.#stories,
      seconds: this.#seconds,
      foundAfter: this.#foundAfter,
      recoveredMs: this.recoveredMs,
      struck,
      leftOut: this.#leftOut,
      logs,
    }
  }

  #add(kind: string, text: string, at: number): void {
    this.#foundAfter ??= (at - this.#began) / 1e6
    const lines = this.#problems.get(kind) ?? []
    lines.push(text)
    this.#problems.set(kind, lines)
  }
}

function describe(finding: Finding): string {
  const { kind, by, key, value, fresh, until, from, side, servedBy, name, boundMs, ms } = finding
  const { detail = '' } = finding
  const what = value === undefined ? '' : `${value.n < 0 ? 'load' : 'set'} ${value.w}.${value.n}`
  switch (kind) {
    case 'stale':
    case 'unacknowledged':
      return (
        `STALE ${key}: ${by}, a user of ${side}, read ${what} (current until ${until ?? '?'} at most) from ` +
        `${servedBy} at ${from}, though v${fresh} had been acknowledged`
      )
    case 'foreign':
      return `FOREIGN ${key}: ${by}, a user of ${side}, read another cache's or another key's value`
    case 'outlived':
      return `OUTLIVED ${key}: ${by}, a user of ${side}, read ${what} at ${from}, long after its expiry`
    case 'slow':
      return `SLOW ${name} of ${key} by ${by}: ${ms === undefined ? 'still under way' : `${ms.toFixed(0)} ms`}, the bound is ${boundMs} ms`
    case 'afterClose':
      return `CLOSED ${by}: a set after close() ended with ${name}`
    default:
      return `FAILED ${by}: ${name ?? kind} ${detail}`
  }
}
