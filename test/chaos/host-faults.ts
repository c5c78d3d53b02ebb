import { existsSync, openSync, closeSync, statSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Fault, Faults } from './fault.ts'
import { pick, randomBytes } from './random.ts'

/** What befalls the machine of the application: its processes, its disk, its clock. */
export const HOST_FAULTS: Faults = {
  killProcess: {
    lane: 'host',
    async strike({ workers, random }) {
      await pick(workers, random).killAndRestart()
    },
  },
  /** Far shorter than half of a tombstone's life, from which on an old value may be stored. */
  freezeProcess: {
    lane: 'host',
    async strike({ workers, random }) {
      const worker = pick(workers, random)
      worker.freeze()
      await delay(random() ** 2 * 2500)
      worker.thaw()
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
    lane: 'host',
    needs: 'disk',
    async strike({ disk, random }) {
      disk!.fill()
      await delay(random() * 800)
      disk!.free()
    },
  },
  /** The machine's clock: its processes and a Redis on it jump together. */
  clockJump: {
    lane: 'host',
    needs: 'clocks',
    async strike({ clocks, random }) {
      const { app, redis } = clocks!
      const ms = jump(random) - app.ahead
      redis.step(ms)
      app.step(ms)
    },
  },
  /** Out and back again, on one side only, by less than the margin for clocks that differ. */
  clockSkew: {
    lane: 'host',
    needs: 'clocks',
    async strike({ clocks, random }) {
      const clock = random() < 0.5 ? clocks!.app : clocks!.redis
      const ms = (random() * 2 - 1) * SKEW_MS
      const lasting = random() * 1000
      clock.step(ms)
      await delay(lasting)
      clock.step(-Math.round(ms))
    },
  },
}

/** Further back, and what was distrusted before would be so for most of the run. */
const JUMP_MS = 5000
const SKEW_MS = 1500

function jump(random: () => number): number {
  return (random() * 2 - 1) * JUMP_MS
}

/** Never the `-shm` file: SQLite maps it, and a process that meets the end of a map dies. */
const FILES = ['cache.db', 'cache.db-wal', 'cache.control']

function damage(harm: (path: string, random: () => number) => void): Fault {
  return {
    lane: 'host',
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
