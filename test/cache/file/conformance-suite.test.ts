import { describe, expect, test } from 'vitest'
import { backendConformance } from '../../../src/cache/testing/index.ts'
import { type Flaw, goneBackend, memoryBackends } from '../../support/file-memory-backend.ts'

describe('the conformance suite', () => {
  describe('passes a correct backend', () => {
    for (const { name, run } of backendConformance(memoryBackends(), {
      outOfReach: () => goneBackend(),
    }))
      test.concurrent(name, run)
  })

  test.each<[Flaw, RegExp]>([
    ['ignores-expect', /expecting nothing/],
    ['keeps-token', /changes the token/],
    ['forgets-tombstones', /tombstone yields only/],
    ['tombstone-ends-early', /tombstone lives/],
    ['tombstone-in-seconds', /tombstone lives/],
    ['tombstone-keeps-expiry', /outlives the expiry/],
    ['tombstone-not-renewed', /outlives the expiry/],
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

  test.each(['read', 'write', 'invalidate', 'clear', 'ping'])(
    'fails one whose %s swallows the failure of its store',
    async (call) => {
      const cases = backendConformance(memoryBackends(), { outOfReach: () => goneBackend(call) })
      const failed: string[] = []
      for (const { run } of cases.filter(({ name }) => name.startsWith('without'))) {
        await run().catch(({ message }: Error) => failed.push(message))
      }
      expect(failed).toHaveLength(1)
      expect(failed[0]).toMatch(new RegExp(`^"without its store, ${call} fails": ${call} answered`))
    },
  )

  test('asks for a backend that is out of reach, unless that cannot be', async () => {
    const names = (options: object): string[] =>
      backendConformance(memoryBackends(), options).map(({ name }) => name)
    expect(names({ outOfReach: 'never' }).join()).not.toContain('without')
    const first = backendConformance(memoryBackends()).find(({ name }) => /without/.test(name))
    await expect(first?.run()).rejects.toThrow('give backendConformance the option outOfReach')
  })

  test('a failure names the case, the key and the calls', async () => {
    const cases = backendConformance(memoryBackends('forgets-tombstones'))
    const found = cases.find(({ name }) => name.startsWith('a tombstone lives'))
    await expect(found?.run()).rejects.toThrow(
      /^"a tombstone lives[^"]*": [^\n]+\n {2}the latest calls:\n {4}invalidate\("k", \{"within":600000\}\) -> \{"done":true[^\n]+\n {4}read\("k"\) -> /,
    )
  })
})
