import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster } from 'ioredis'
import { afterAll, expect, test } from 'vitest'
import {
  adaptCache,
  type CacheBackend,
  fileCache,
  memoryCache,
  redisCache,
} from '../../src/index.ts'
import { createCacheSwitch, type SwitchEvent } from '../../src/switch/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'

const directory = mkdtempSync(join(tmpdir(), 'switchback-pairs-'))
const nobody = new Cluster([{ host: '127.0.0.1', port: 1 }], {
  lazyConnect: true,
  clusterRetryStrategy: () => null,
})
afterAll(() => {
  nobody.disconnect()
  rmSync(directory, { recursive: true, force: true })
})

const SIDES: Readonly<Record<string, () => CacheBackend>> = {
  files: () => fileCache({ directory }),
  memory: () => memoryCache(),
  keyv: () => adaptCache(new Map() as never),
  shared: () => adaptCache(new Map() as never, { shared: true }),
  redis: () => redisCache({ url: 'redis://127.0.0.1:1' }),
  cluster: () => redisCache({ client: nobody }),
}

/** The table "Which pairs" of docs/guarantees.md: `''` where the promise holds for all processes. */
const PAIRS: readonly (readonly [off: string, on: string, less: RegExp | ''])[] = [
  ['files', 'redis', ''],
  ['files', 'cluster', ''],
  ['redis', 'redis', ''],
  ['redis', 'cluster', ''],
  ['cluster', 'cluster', ''],
  ['memory', 'redis', ''],
  ['keyv', 'redis', ''],
  ['memory', 'memory', ''],
  ['memory', 'keyv', ''],
  ['memory', 'cluster', /refuses to tell/],
  ['keyv', 'cluster', /refuses to tell/],
  ['files', 'memory', /in the memory of one process/],
  ['files', 'keyv', /in the memory of one process/],
  ['shared', 'memory', /refuses to tell/],
  ['shared', 'files', /no common place/],
  ['shared', 'redis', /no common place/],
  ['shared', 'cluster', /no common place/],
]

test.each(
  PAIRS.flatMap(
    ([off, on, less]) =>
      [
        [off, on, less],
        [on, off, less],
      ] as const,
  ),
)('%s and %s: what cannot be promised is said at the start, once', async (off, on, less) => {
  const events: SwitchEvent[] = []
  const cache = createCacheSwitch({
    flag: 'f',
    decider: new FixedDecider(),
    off: SIDES[off]!(),
    on: SIDES[on]!(),
    onEvent: (event) => events.push(event),
  })
  await cache.for({ targetingKey: 'u' }).getOrSet('k', () => 'v')
  await cache.close()
  const told = events.filter(({ type }) => type === 'promises-less').map(({ detail }) => detail)
  expect(told).toEqual(less === '' ? [] : [expect.stringMatching(less)])
})
