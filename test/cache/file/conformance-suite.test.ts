import { describe, expect, test } from 'vitest'
import { backendConformance } from '../../../src/cache/testing/index.ts'
import { type Flaw, memoryBackends } from '../../support/file-memory-backend.ts'

describe('the conformance suite', () => {
  describe('passes a correct backend', () => {
    for (const { name, run } of backendConformance(memoryBackends())) test.concurrent(name, run)
  })

  test.each<[Flaw, RegExp]>([
    ['ignores-expect', /expecting nothing/],
    ['keeps-token', /changes the token/],
    ['forgets-tombstones', /tombstone yields only/],
    ['tombstone-ends-early', /tombstone lives/],
    ['not-atomic', /exactly one is written/],
    ['renews-expiry', /reads back what was written/],
    ['well-forms-keys', /every string is a cell/],
    ['well-forms-payloads', /any string reads back/],
    ['clears-all', /this namespace only/],
    ['late-writes', /too late/],
  ])('fails one that %s', async (flaw, expected) => {
    const cases = backendConformance(memoryBackends(flaw), { largestPayload: 1000 })
    const [found, ...others] = cases.filter(({ name }) => expected.test(name))
    expect(others).toEqual([])
    await expect(found?.run()).rejects.toThrow()
  })
})
