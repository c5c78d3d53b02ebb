import type { ProcessAnswer, ProcessReading } from '../../scrape/index.ts'

/** A step of a migration that every process must be ready for. */
export interface MigrationStep {
  /** Why a process is not ready; `''` when it is. */
  readonly lag: (reading: ProcessReading) => string
  /** What to do about processes that are not. */
  readonly remedy: string
  /** Whether it begins new eras, and of which side at least. */
  readonly renews: 'old' | 'new' | undefined
  /** What to do when it is done. */
  readonly next: string
}

export const STEPS: Readonly<Record<string, MigrationStep>> = {
  enter: {
    lag: (reading) => {
      const { splits } = reading
      const stage = lagOfStage(reading, 'both')
      if (stage !== '') return stage
      if (splits.length === 0) return 'does not say which users it sends to the new side'
      const share = shareOf(reading)
      return share > 0 ? `sends ${share} % of its users to the new side already` : ''
    },
    remedy: 'deploy the switch on every process, without retire, and with the flag at 0 %',
    renews: 'new',
    next: 'nothing that was left on the new side is served; move the first users: switchback set 1',
  },
  leave: {
    lag: (reading) => {
      const stage = lagOfStage(reading, 'retire-off')
      if (stage !== '') return stage
      return reading.owed > 0 ? `has ${reading.owed} invalidations pending` : ''
    },
    remedy: "deploy retire: 'off' on every process, and wait until nothing is pending",
    renews: undefined,
    next: 'replace the switch by the plain cache of the new side, process by process; from the first one on, an outage of the new side has the guarantees of a plain cache. Back from there: switchback migrate return',
  },
  return: {
    lag: (reading) => lagOfStage(reading, 'retire-off'),
    remedy:
      "deploy the switch with retire: 'off' on every process: the old side does not know what a process without the switch has written",
    renews: 'old',
    next: 'nothing that is left on the old side is served; deploy the switch without retire, then switchback set or rollback as you like',
  },
}

export interface Laggard {
  readonly process: string
  readonly cause: string
  readonly silent: boolean
}

/** The processes that are not ready. One that answers under two names is judged twice, and alike. */
export function laggardsOf(
  answers: readonly ProcessAnswer[],
  step: MigrationStep,
): readonly Laggard[] {
  return answers.flatMap(({ process, reading, error }): Laggard[] => {
    if (reading === undefined) return [{ process, cause: error, silent: true }]
    const cause = step.lag(reading)
    return cause === '' ? [] : [{ process, cause, silent: false }]
  })
}

function lagOfStage({ stages, knowsFlag, others }: ProcessReading, wanted: string): string {
  const [stage] = stages
  if (stage === undefined) {
    return knowsFlag || others.length > 0
      ? 'does not say where it stands: its Switchback is older'
      : 'runs without the switch'
  }
  const other = stages.find((one) => one !== wanted)
  if (other === undefined) return ''
  return other === 'both' ? 'still uses both sides' : `has ${other.replace('-', ": '")}'`
}

function shareOf({ splits }: ProcessReading): number {
  return Math.max(...splits.map(({ on, probes }) => Math.ceil((on / probes) * 100)))
}
