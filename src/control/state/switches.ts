import type { Fleet } from '../metrics/index.ts'
import { methodReading, type MethodReading } from '../metrics/switch-scrapes.ts'
import { describe, type FlagsDocument } from '../../rollout/index.ts'
import type { Side } from '../../side.ts'
import { ProcessJudge } from './process-judge.ts'

/** A switch that `createSwitch` made in a process of the application. */
export interface SwitchReading {
  readonly name: string
  /** The flag that picks its side; `''` where the process does not tell it. */
  readonly flag: string
  /** Share of the new side in per cent, as the file has it; `null` where the file does not say. */
  readonly share: number | null
  /** Why it cannot be rolled back from here; `''` when it can. */
  readonly unknown: string
  /** What its two sides are called. */
  readonly names: Readonly<Record<Side, string>>
  /** Epoch milliseconds since when a replica cannot reach a side; `null` while all do. */
  readonly outSince: Readonly<Record<Side, number | null>>
  /** Processes that report the flag, and those that decide it as the file says. */
  readonly known: number
  readonly agreeing: number
  readonly methods: readonly MethodReading[]
}

/** Reads the switches of all replicas beside the cache. */
export class Switches {
  readonly #judges = new Map<string, ProcessJudge>()
  /** Flags that may be rolled back by name: those of switches that were seen. */
  readonly flags: Set<string> = new Set()

  read(fleet: Fleet, document: FlagsDocument | undefined): SwitchReading[] {
    const now = Date.now()
    const readings = [...fleet.switches()].map(([name, one]): SwitchReading => {
      const { flag, names, outSeconds } = one
      if (flag !== '') this.flags.add(flag)
      const out = (side: Side): number | null =>
        outSeconds[side] === 0 ? null : now - outSeconds[side] * 1000
      const methods = [...one.methods].map(([method, arms]) => methodReading(method, arms))
      return {
        name,
        flag,
        ...shareOf(document, flag),
        names,
        outSince: { off: out('off'), on: out('on') },
        ...this.#decided(fleet, document, flag),
        methods: methods.toSorted((a, b) => a.name.localeCompare(b.name)),
      }
    })
    return readings.toSorted((a, b) => a.name.localeCompare(b.name))
  }

  #decided(
    fleet: Fleet,
    document: FlagsDocument | undefined,
    flag: string,
  ): { known: number; agreeing: number } {
    if (flag === '') return { known: 0, agreeing: 0 }
    const judge = this.#judges.get(flag) ?? new ProcessJudge(flag)
    this.#judges.set(flag, judge)
    const answers = fleet.answers(flag).filter(({ reading }) => reading?.knowsFlag === true)
    const { known, agreeing } = judge.read(document, answers)
    return { known, agreeing }
  }
}

function shareOf(
  document: FlagsDocument | undefined,
  flag: string,
): { share: number | null; unknown: string } {
  if (flag === '') return { share: null, unknown: 'the process does not tell its flag' }
  if (document === undefined) return { share: null, unknown: 'the flags file cannot be read' }
  try {
    const { share, state } = describe(document, flag)
    return { share: state === 'DISABLED' ? 0 : (share ?? null), unknown: '' }
  } catch {
    // The flag lives elsewhere, or is not understood.
    return { share: null, unknown: `the flags file has no flag "${flag}" that can be read` }
  }
}
