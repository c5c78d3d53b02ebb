import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The boot ids that the processes of a run find in `/proc`: one for the machine, and another's. */
export class BootIds {
  readonly machine: string
  readonly other: string

  private constructor(machine: string, other: string) {
    this.machine = machine
    this.other = other
  }

  /** Undefined where a process cannot be given a view of `/proc` of its own. */
  static make(directory: string): BootIds | undefined {
    const boots = new BootIds(join(directory, 'boot-id'), join(directory, 'other-boot-id'))
    writeFileSync(boots.machine, `${randomUUID()}\n`)
    writeFileSync(boots.other, `${randomUUID()}\n`)
    const path = '/proc/sys/kernel/random/boot_id'
    const script = 'mount --bind "$1" "$2" && cat "$2"'
    const tried = spawnSync('unshare', ['-m', 'sh', '-c', script, 'sh', boots.machine, path])
    return tried.stdout?.toString() === readFileSync(boots.machine, 'utf8') ? boots : undefined
  }

  /** The machine was started anew: as far as processes look that start from now on. */
  reboot(): void {
    writeFileSync(this.machine, `${randomUUID()}\n`)
  }
}
