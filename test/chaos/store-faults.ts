import {
  closeSync,
  existsSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Fault, Faults } from './fault.ts'
import { pick, randomBytes } from './random.ts'

/** What befalls the file store: other writers, its files, its disk. */
export const STORE_FAULTS: Faults = {
  /** Other processes write a lot. */
  busyStore: {
    lane: 'store',
    async strike({ holder, random }) {
      await holder?.busy(5 + random() * 60, 5 + Math.floor(random() * 20), 50 + random() * 300)
    },
  },
  /** Another process is stopped in the middle of a write. */
  frozenWriter: {
    lane: 'store',
    async strike({ holder, random }) {
      await holder?.frozen(500 + random() * 5000)
    },
  },
  deleteDirectory: {
    lane: 'store',
    async strike({ store, random }) {
      const aside = `${store}.${Math.floor(random() * 1e9)}`
      // Either at once, or file by file.
      if (random() < 0.5 && existsSync(store)) renameSync(store, aside)
      const gone = existsSync(aside) ? aside : store
      try {
        rmSync(gone, { recursive: true, force: true, maxRetries: 50, retryDelay: 5 })
      } catch (error) {
        // All is gone, and somebody makes it anew as fast as it goes.
        if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error
      }
    },
  },
  /** Of the host's lane, since it stops processes. */
  deleteDirectoryAtRest: {
    lane: 'host',
    async strike({ store, workers }) {
      await Promise.all(workers.map((worker) => worker.stop()))
      rmSync(store, { recursive: true, force: true })
      await Promise.all(workers.map((worker) => worker.start()))
    },
  },
  damageStore: damage((path, random) => {
    const at = Math.floor(random() * Math.max(1, statSync(path).size))
    overwrite(path, at, Buffer.alloc(4096, 0xa5))
  }),
  garbageStore: damage((path, random) => {
    overwrite(path, 0, randomBytes(Math.min(statSync(path).size, 2 ** 22), random))
  }),
  truncateStore: damage((path, random) => {
    truncateSync(path, Math.floor(random() * statSync(path).size))
  }),
  diskFull: {
    lane: 'store',
    needs: 'disk',
    async strike({ disk, random }) {
      disk!.fill()
      await delay(random() * 800)
      disk!.free()
    },
  },
}

/** Never the `-shm` file: SQLite maps it, and a process that meets the end of a map dies. */
const FILES = ['cache.db', 'cache.db-wal', 'cache.control']

function damage(harm: (path: string, random: () => number) => void): Fault {
  return {
    lane: 'store',
    async strike({ store, random }) {
      const path = join(store, pick(FILES, random))
      if (existsSync(path)) harm(path, random)
    },
  }
}

function overwrite(path: string, at: number, bytes: Buffer): void {
  const file = openSync(path, 'r+')
  try {
    writeSync(file, bytes, 0, bytes.length, at)
  } finally {
    closeSync(file)
  }
}
