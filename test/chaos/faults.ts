import { FAILOVER_FAULTS } from './failover-faults.ts'
import type { Fault, Faults, Lane, Scene } from './fault.ts'
import { FLAG_FAULTS } from './flag-faults.ts'
import { HOST_FAULTS } from './host-faults.ts'
import { REDIS_FAULTS } from './redis-faults.ts'
import type { Topology } from './stage.ts'

export const FAULTS: Faults = {
  ...REDIS_FAULTS,
  ...FAILOVER_FAULTS,
  ...HOST_FAULTS,
  ...FLAG_FAULTS,
}

/** Faults that are named, or all that are not to run apart, as far as they concern the topology. */
export function faultsFor(
  topology: Topology,
  wanted: readonly string[] | undefined,
): ReadonlyMap<string, Fault> {
  const all = Object.entries(FAULTS).filter(
    ([name, { topologies, apart }]) =>
      (topologies?.includes(topology) ?? true) && (wanted?.includes(name) ?? apart !== true),
  )
  return new Map(all)
}

/** Those that this machine cannot have, with the reason. */
export function missing(
  faults: ReadonlyMap<string, Fault>,
  { disk, clocks }: Pick<Scene, 'disk' | 'clocks'>,
): ReadonlyMap<string, string> {
  const reasons = new Map<string, string>()
  for (const [name, { needs }] of faults) {
    if (needs === 'disk' && disk === undefined) reasons.set(name, 'mounting is not permitted')
    if (needs === 'clocks' && clocks === undefined)
      reasons.set(name, 'there is no C compiler (cc) that works')
  }
  return reasons
}

/**
 * The longest pause between two faults of a lane, in milliseconds. A damaged store makes everything
 * before it distrusted: too many of those, and nothing would be left to go stale.
 */
export const PAUSES: Readonly<Record<Lane, number>> = { redis: 1000, host: 3000, flags: 1500 }
