import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The wall clock of a machine that can be made to jump: all processes started with its environment see
 * the jump at the same moment. Their monotonic clocks, and with them all timers, go on undisturbed.
 * (Debian's libfaketime would do for Node, but redis-server with jemalloc does not start under it.)
 */
export class WallClock {
  readonly env: Readonly<Record<string, string>>
  readonly #file: number
  /** Milliseconds by which it is ahead now. */
  ahead = 0

  private constructor(library: string, file: string) {
    writeFileSync(file, Buffer.alloc(8))
    this.#file = openSync(file, 'r+')
    this.env = { LD_PRELOAD: library, WALL_CLOCK_FILE: file }
  }

  /** Undefined where there is no C compiler, or this is no Linux. */
  static make(directory: string, name: string): WallClock | undefined {
    if (process.platform !== 'linux') return undefined
    const library = join(directory, 'wall-clock.so')
    const source = join('test', 'chaos', 'wall-clock.c')
    if (!existsSync(library)) spawnSync('cc', ['-shared', '-fPIC', '-o', library, source])
    if (!existsSync(library)) return undefined
    return new WallClock(library, join(directory, `${name}.clock`))
  }

  /** Steps the clock forwards, or back when negative. */
  step(ms: number): void {
    this.ahead += Math.round(ms)
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(this.ahead))
    writeSync(this.#file, bytes, 0, 8, 0)
  }

  close(): void {
    closeSync(this.#file)
  }
}
