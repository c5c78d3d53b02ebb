import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A flag of two sides with this rule. */
export function rule(targeting: object): object {
  const variants = { on: true, off: false }
  return { state: 'ENABLED', variants, defaultVariant: 'off', targeting }
}

/** The rule that sends a share of all users to the new side. */
export function split(share: number): object {
  return {
    fractional: [
      ['on', share],
      ['off', 100 - share],
    ],
  }
}

/** The flag `use-redis` at a share of its users. */
export function useRedis(share: number): object {
  return { flags: { 'use-redis': rule(split(share)) } }
}

/** A flags file in a directory of its own. */
export class FlagsFile implements Disposable {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'switchback-flags-'))
  readonly path: string = join(this.directory, 'flags.json')

  /** As an editor saves: a rename over it. */
  write(content: object | string): void {
    const next = join(this.directory, `.next-${process.hrtime.bigint()}`)
    writeFileSync(next, typeof content === 'string' ? content : JSON.stringify(content))
    renameSync(next, this.path)
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}
