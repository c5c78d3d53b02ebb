import type { FlagsFile } from '../support/flags-files.ts'
import type { SmallDisk } from '../support/file-disk.ts'
import type { TestRedis } from '../support/redis-server.ts'
import type { SidecarProcess } from '../support/sidecar-process.ts'
import type { BootIds } from './boot-ids.ts'
import type { Ground } from './ground.ts'
import type { LockHolder } from './lock-holder.ts'
import type { Link, Nets } from './nets.ts'
import type { RedisStage, Topology } from './stage.ts'
import type { WallClock } from './wall-clock.ts'
import type { Worker } from './workers.ts'

/** Everything that can be broken, and the draws of the fault that is about to break it. */
export interface Scene {
  readonly redis: RedisStage
  /** The old side of a pair of two Redis. */
  readonly old: RedisStage | undefined
  /** Of each process, its ways to the stores; none where all take the same. */
  readonly links: readonly (readonly Link[])[]
  /** In which each process and store is a machine; undefined where no fault needs it, or it cannot be made. */
  readonly nets: Nets | undefined
  /** Another server, from which the first can be made to copy. Undefined where no fault needs it. */
  readonly spare: TestRedis | undefined
  readonly workers: readonly Worker[]
  readonly ground: Ground
  /** Directory of the file store. */
  readonly store: string
  readonly holder: LockHolder | undefined
  readonly keys: readonly string[]
  readonly flags: FlagsFile
  readonly sidecar: SidecarProcess | undefined
  /** Undefined where mounting is not permitted. */
  readonly disk: SmallDisk | undefined
  /** Undefined where there is no compiler. */
  readonly clocks: { readonly app: WallClock; readonly redis: WallClock } | undefined
  /** Undefined where another boot id cannot be shown to a process. */
  readonly boots: BootIds | undefined
  readonly random: () => number
}

/** Faults of one lane never overlap; those of different lanes do. `old`: what befalls Redis, on the old side of a pair. */
export type Lane = 'redis' | 'old' | 'host' | 'store' | 'flags'

export interface Fault {
  readonly lane: Lane
  /** @default all */
  readonly topologies?: readonly Topology[]
  /** What the machine must offer for it. */
  readonly needs?: 'disk' | 'clocks' | 'boots' | 'spare' | 'sidecar' | 'nets'
  /** Ends with the system able to recover, so that the next one meets it at any stage of that. */
  readonly strike: (scene: Scene) => Promise<void>
}

export type Faults = Readonly<Record<string, Fault>>

/** A time, in microseconds of the monotonic clock, in which a fault was at work. */
export interface Struck {
  readonly name: string
  readonly from: number
  /** Infinity: it still is. */
  readonly to: number
}
