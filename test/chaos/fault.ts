import type { FlagsFile } from '../support/flags-files.ts'
import type { SmallDisk } from '../support/file-disk.ts'
import type { SidecarProcess } from '../support/sidecar-process.ts'
import type { RedisStage, Topology } from './stage.ts'
import type { WallClock } from './wall-clock.ts'
import type { Worker } from './workers.ts'

/** Everything that can be broken, and the draws of the fault that is about to break it. */
export interface Scene {
  readonly redis: RedisStage
  readonly workers: readonly Worker[]
  /** Directory of the file store. */
  readonly store: string
  readonly keys: readonly string[]
  readonly flags: FlagsFile
  readonly sidecar: SidecarProcess
  /** Undefined where mounting is not permitted. */
  readonly disk: SmallDisk | undefined
  /** Undefined where there is no compiler. */
  readonly clocks: { readonly app: WallClock; readonly redis: WallClock } | undefined
  readonly random: () => number
}

/** Faults of one lane never overlap; those of different lanes do. */
export type Lane = 'redis' | 'host' | 'flags'

export interface Fault {
  readonly lane: Lane
  /** @default all */
  readonly topologies?: readonly Topology[]
  /** What the machine must offer for it. */
  readonly needs?: 'disk' | 'clocks'
  /** True: docs/guarantees.md names what may be lost, so it runs in a section of its own. */
  readonly apart?: boolean
  /** Ends with the system able to recover, so that the next one meets it at any stage of that. */
  readonly strike: (scene: Scene) => Promise<void>
}

export type Faults = Readonly<Record<string, Fault>>
