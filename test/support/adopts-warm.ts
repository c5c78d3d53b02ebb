import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { type CacheBackend, fileCache } from '../../src/cache/index.ts'
import { createCacheSwitch } from '../../src/switch/index.ts'
import { FixedDecider } from './fixed-decider.ts'
import { until } from './until.ts'

/** The program that was there before, on a connection of its own, by whole names. */
export interface OldProgram {
  get(name: string): Promise<string | null>
  set(name: string, text: string): Promise<unknown>
  del(name: string): Promise<unknown>
}

export interface AdoptsWarmOptions {
  /** Of plain values under the prefix. */
  readonly side: CacheBackend
  readonly prefix: string
  readonly old: OldProgram
  /** Done when half of it is over: from then on everything is another store. @default nothing */
  readonly trouble?: () => Promise<unknown>
}

const KEYS = 40

/** A warm Redis gets the switch: no load, on neither side, and both programs go on as guarantees.md says. */
export async function adoptsWarm({ side, prefix, old, trouble }: AdoptsWarmOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-warm-'))
  const keys = Array.from({ length: KEYS }, (_, i) => `user:${i}`)
  await Promise.all(keys.map((key) => old.set(prefix + key, JSON.stringify({ key }))))
  const cache = createCacheSwitch({
    off: fileCache({ directory }),
    on: side,
    decider: new FixedDecider({ on: 'on' }),
    deadlineMs: 5000,
    onEvent: () => undefined,
  })
  const [on, off] = ['on', 'off'].map((targetingKey) => cache.for({ targetingKey })) as [
    ReturnType<typeof cache.for>,
    ReturnType<typeof cache.for>,
  ]
  const never = (): never => {
    throw new Error('a load')
  }
  try {
    await until('Redis is used', async () => {
      await on.get(keys[0]!)
      return cache.health().on.ok
    })
    for (const view of [on, off, on]) {
      const found = await Promise.all(keys.map((key) => view.getOrSet(key, never)))
      expect(found).toEqual(keys.map((key) => ({ key })))
    }
    const [written, deleted, erased, moved] = keys as [string, string, string, string]
    await old.set(prefix + written, '"by the old program"')
    await old.del(prefix + deleted)
    expect(await on.get(written)).toBe('by the old program')
    expect(await on.get(deleted)).toBe(undefined)
    await on.delete(erased)
    expect(await old.get(prefix + erased)).toBe(null)
    await off.set(moved, 'by the switch')
    expect(await old.get(prefix + moved)).toBe(null)
    expect(await on.get(moved)).toBe('by the switch')
    expect(await old.get(prefix + moved)).toBe('"by the switch"')
    if (trouble === undefined) return
    await trouble()
    const retried = <T>(work: () => Promise<T>): Promise<unknown> =>
      until('the old program is answered', () =>
        work().then(
          () => true,
          () => false,
        ),
      )
    // Newer than the copy in the files, in a store that may have lost everything.
    await retried(() => old.set(prefix + written, '"newer"'))
    await until('Redis is used again', async () => {
      await on.get('nothing')
      return cache.health().on.ok
    })
    expect(await on.getOrSet(written, () => 'newer')).toBe('newer')
    expect(await on.get(erased)).toBe(undefined)
    await retried(() => old.del(prefix + written))
    expect(await on.get(written)).toBe(undefined)
  } finally {
    await cache.close()
    rmSync(directory, { recursive: true, force: true })
  }
}
