import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CacheBackend, fileCache } from '../../src/cache/index.ts'
import { createCacheSwitch } from '../../src/switch/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
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

/**
 * A warm Redis gets the switch: no load, on neither side, and both programs go on as guarantees.md says. On a busy
 * machine a user of a Redis that does not answer is a user of the files; what is asked for comes in the end.
 */
export async function adoptsWarm({ side, prefix, old, trouble }: AdoptsWarmOptions): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-warm-'))
  const keys = Array.from({ length: KEYS }, (_, i) => `user:${i}`)
  const patient = <T>(what: string, work: () => Promise<T>): Promise<void> =>
    until(what, () =>
      work().then(
        () => true,
        () => false,
      ),
    )
  for (const key of keys)
    await patient('warm', () => old.set(prefix + key, JSON.stringify({ key })))
  const telemetry = createTelemetry()
  const cache = createCacheSwitch({
    off: fileCache({ directory }),
    on: side,
    decider: new FixedDecider({ on: 'on' }),
    deadlineMs: 5000,
    telemetry,
    onEvent: () => undefined,
  })
  let last = ''
  const onOperation = ({ outcome }: { readonly outcome: string }): void => void (last = outcome)
  const on = cache.for({ targetingKey: 'on' }, { onOperation })
  const off = cache.for({ targetingKey: 'off' })
  const shows = (view: typeof on, key: string, value: unknown): Promise<void> =>
    until(`${key} is ${String(value)}`, async () => (await view.get(key)) === value)
  try {
    await until('Redis is used', async () => {
      await on.get(keys[0]!)
      return last === 'hit'
    })
    const bad = badOf(telemetry)
    let loads = 0
    for (const view of [on, off, on]) {
      const found = await Promise.all(
        keys.map((key) => view.getOrSet(key, () => ((loads += 1), { key }))),
      )
      assert.deepEqual(
        found,
        keys.map((key) => ({ key })),
      )
    }
    assert.ok(loads <= badOf(telemetry) - bad, `${loads} loads of what was there`)
    const [written, deleted, erased, moved] = keys as [string, string, string, string]
    await patient('the old program writes', () => old.set(prefix + written, '"by the old program"'))
    await patient('the old program deletes', () => old.del(prefix + deleted))
    await shows(on, written, 'by the old program')
    await shows(on, deleted, undefined)
    await on.delete(erased)
    await until('deleted', async () => (await old.get(prefix + erased)) === null)
    await off.set(moved, 'by the switch')
    await shows(on, moved, 'by the switch')
    await until('moved', async () => (await old.get(prefix + moved)) === '"by the switch"')
    if (trouble === undefined) return
    await trouble()
    // Newer than the copy in the files, in a store that may have lost everything.
    await patient('the old program writes again', () => old.set(prefix + written, '"newer"'))
    await until('Redis is used again', async () => {
      const raw = await old.get(prefix + written).catch(() => '"newer"')
      // A replica that takes over may lack it; what it has is not the older copy.
      assert.ok(raw === null || raw === '"newer"' || raw === '"by the old program"', String(raw))
      return (await on.getOrSet(written, () => 'newer')) === 'newer'
    })
    await shows(on, erased, undefined)
  } finally {
    await cache.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Operations that a side did not answer. */
export function badOf(telemetry: Pick<ReturnType<typeof createTelemetry>, 'snapshot'>): number {
  const { off, on } = telemetry.snapshot().arms
  return off.bad + on.bad
}
