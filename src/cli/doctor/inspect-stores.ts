import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Side } from '../../side.ts'
import {
  ControlFile,
  Database,
  FENCE_UNKNOWN,
  judgeBoot,
  readBootId,
  SCHEMA_VERSION,
} from '../../cache/index.ts'

/** What a look at one file store finds, for `switchback doctor`. */
export interface StoreReport {
  /** The database file. */
  readonly file: string
  readonly version: 'present' | 'older' | 'newer'
  readonly boot: 'same' | 'restarted' | 'shared' | 'unreadable'
  readonly tombstoneTtl: number
  readonly owed: Readonly<Record<Side, number>>
  /** By how much the store's clock is ahead of this host's, which was set back since, in milliseconds. */
  readonly clockAhead: number
  /**
   * By how much each side's fence lies ahead of this host's clock, in milliseconds; `Infinity`: the side is
   * distrusted until its own clock was asked.
   */
  readonly fencedFor: Readonly<Record<Side, number>>
}

/** Looks at the file stores in a directory and changes nothing. Throws when one cannot be read. */
export function inspectStores(directory: string): readonly StoreReport[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .filter((file) => file.endsWith('.db'))
    .map((file) => inspectStore(join(directory, file)))
}

function inspectStore(file: string): StoreReport {
  const database = new Database(file, 'OFF')
  try {
    const identity = database.identity()
    const bootId = readBootId()
    const version = identity?.version ?? SCHEMA_VERSION
    return {
      file,
      version:
        version === SCHEMA_VERSION ? 'present' : version < SCHEMA_VERSION ? 'older' : 'newer',
      boot:
        bootId === ''
          ? 'unreadable'
          : judgeBoot(bootId, identity?.bootId ?? '', identity?.formerBoots ?? ''),
      tombstoneTtl: identity?.tombstoneTtl ?? 0,
      owed: identity?.owed ?? { off: 0, on: 0 },
      ...inspectControl(file.replace(/\.db$/u, '.control')),
    }
  } finally {
    database.close()
  }
}

function inspectControl(path: string): Pick<StoreReport, 'clockAhead' | 'fencedFor'> {
  // The next process that opens the store makes it anew.
  if (!existsSync(path)) return { clockAhead: 0, fencedFor: { off: 0, on: 0 } }
  const control = new ControlFile(path, false)
  try {
    if (!control.isWhole()) return { clockAhead: 0, fencedFor: { off: 0, on: 0 } }
    const now = Date.now()
    const ahead = (side: Side): number => {
      const fence = control.fence(side)
      return fence >= FENCE_UNKNOWN ? Number.POSITIVE_INFINITY : fence - now
    }
    return { clockAhead: control.now() - now, fencedFor: { off: ahead('off'), on: ahead('on') } }
  } finally {
    control.close()
  }
}
