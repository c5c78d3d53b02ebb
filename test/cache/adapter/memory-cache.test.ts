import { describe, expect, test } from 'vitest'
import { ANY, type CacheBackend, memoryCache, NEVER } from '../../../src/cache/index.ts'
import { backendConformance } from '../../../src/cache/testing/index.ts'

describe('conformance of memoryCache', () => {
  const cases = backendConformance(({ tombstoneTtl }) => memoryCache({ tombstoneTtl }), {
    shared: false,
    outOfReach: 'never',
  })
  for (const { name, run } of cases) test.concurrent(name, run)
})

function put(backend: CacheBackend, key: string): void {
  const entry = { payload: key, expiresAt: NEVER }
  expect(backend.write(key, entry, { expect: ANY, within: 100 })).toMatchObject({ written: true })
}

function stateOf(backend: CacheBackend, key: string): unknown {
  return (backend.read(key) as { readonly state: string }).state
}

describe('memoryCache', () => {
  test('keeps the most recently used', () => {
    const backend = memoryCache({ maxEntries: 3 })
    for (const key of ['a', 'b', 'c']) put(backend, key)
    backend.read('a')
    put(backend, 'd')
    expect(['a', 'b', 'c', 'd'].map((key) => stateOf(backend, key))).toEqual([
      'value',
      'absent',
      'value',
      'value',
    ])
  })

  test('values do not push tombstones out', () => {
    const backend = memoryCache({ maxEntries: 3 })
    backend.invalidate('deleted', { within: 100 })
    for (let i = 0; i < 100; i++) put(backend, `k${i}`)
    expect(stateOf(backend, 'deleted')).toBe('tombstone')
    for (let i = 0; i < 100; i++) backend.invalidate(`k${i}`, { within: 100 })
    expect(stateOf(backend, 'deleted')).toBe('absent')
    expect(stateOf(backend, 'k99')).toBe('tombstone')
  })

  test.each([0, -1, 1.5, Number.NaN])('refuses maxEntries %s', (maxEntries) => {
    expect(() => memoryCache({ maxEntries })).toThrow(
      expect.objectContaining({ code: 'SB_MEMORY_OPTIONS' }) as Error,
    )
  })
})
