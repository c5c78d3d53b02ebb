import { FAILOVER_FAULTS } from './failover-faults.ts'
import type { Fault, Faults, Lane, Scene } from './fault.ts'
import { FLAG_FAULTS } from './flag-faults.ts'
import { HOST_FAULTS } from './host-faults.ts'
import { LINK_FAULTS } from './link-faults.ts'
import { NET_FAULTS } from './net-faults.ts'
import { REDIS_FAULTS } from './redis-faults.ts'
import { STORE_FAULTS } from './store-faults.ts'
import type { Topology } from './stage.ts'

export const FAULTS: Faults = {
  ...LINK_FAULTS,
  ...NET_FAULTS,
  ...REDIS_FAULTS,
  ...FAILOVER_FAULTS,
  ...HOST_FAULTS,
  ...STORE_FAULTS,
  ...FLAG_FAULTS,
}

/** A fault that stands here twice is dealt twice as often. */
export type Dealt = readonly (readonly [string, Fault])[]

/** The faults of these names, as far as they concern the topology; of a pair of two Redis, those of either. */
export function faultsFor(
  topology: Topology,
  wanted: readonly string[],
  old?: Topology | undefined,
): Dealt {
  return wanted.flatMap((name) => {
    const fault = FAULTS[name]
    if (fault === undefined) throw new Error(`no such fault: ${name}`)
    const { topologies } = fault
    const concerns = (one: Topology | undefined): boolean =>
      one !== undefined && (topologies?.includes(one) ?? true)
    return [
      ...(concerns(topology) ? [[name, fault] as const] : []),
      ...(concerns(old) && fault.lane === 'redis' ? [[name, onTheOldSide(fault)] as const] : []),
    ]
  })
}

function onTheOldSide(fault: Fault): Fault {
  return {
    ...fault,
    lane: 'old',
    strike: (scene) => fault.strike({ ...scene, redis: scene.old! }),
  }
}

const REASONS = {
  disk: 'mounting is not permitted',
  clocks: 'there is no C compiler (cc) that works',
  boots: 'a process cannot be shown another boot id',
  spare: 'there is no second server',
  sidecar: 'there is no flag source',
  nets: 'network namespaces cannot be made (root and `ip` of iproute2 are needed); links are cut by proxies',
} as const

/** Those that this machine cannot have, with the reason. */
export function missing(
  faults: Dealt,
  scene: Pick<Scene, keyof typeof REASONS>,
): ReadonlyMap<string, string> {
  return new Map(
    [...faults].flatMap(([name, { needs }]) =>
      needs !== undefined && scene[needs] === undefined ? [[name, REASONS[needs]] as const] : [],
    ),
  )
}

/** The longest pause between two faults of a lane, in milliseconds. */
export const PAUSES: Readonly<Record<Lane, number>> = {
  redis: 1000,
  old: 1000,
  host: 2500,
  store: 2000,
  flags: 1500,
}
