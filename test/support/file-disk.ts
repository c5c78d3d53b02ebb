import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A small disk of its own, which can be filled and made read-only. Needs the right to mount. */
export class SmallDisk {
  readonly path: string
  readonly #ballast: string

  private constructor(path: string) {
    this.path = path
    this.#ballast = join(path, 'ballast')
  }

  /** Undefined where mounting is not permitted. */
  static mount(mebibytes: number): SmallDisk | undefined {
    const path = mkdtempSync(join(tmpdir(), 'switchback-disk-'))
    const options = `size=${mebibytes}m`
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]).status !== 0) {
      rmSync(path, { recursive: true })
      return undefined
    }
    return new SmallDisk(path)
  }

  /** Takes every byte that is left. */
  fill(): void {
    // In ever smaller steps: a write that does not fit is taken in part or not at all.
    for (const size of [65_536, 4096, 1]) {
      for (;;) {
        try {
          writeFileSync(this.#ballast, Buffer.alloc(size), { flag: 'a' })
        } catch {
          break
        }
      }
    }
  }

  free(): void {
    rmSync(this.#ballast, { force: true })
  }

  remount(mode: 'ro' | 'rw'): void {
    const { status, stderr } = spawnSync('mount', ['-o', `remount,${mode}`, this.path])
    if (status !== 0) throw new Error(`remount: ${stderr}`)
  }

  unmount(): void {
    spawnSync('umount', ['-l', this.path])
    rmSync(this.path, { recursive: true, force: true })
  }
}
