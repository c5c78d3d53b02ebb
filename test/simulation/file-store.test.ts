import { describe, test } from 'vitest'
import { backendConformance } from '../../src/cache/testing/index.ts'
import { Choices } from './choices.ts'
import { Disk, DiskCache } from './file-store.ts'
import { Machine } from './machine.ts'

describe('the simulated file store conforms', () => {
  const disks = new Map<string, Disk>()
  const cases = backendConformance(
    ({ namespace, tombstoneTtl }) => {
      const disk = disks.get(namespace) ?? new Disk(new Machine(new Choices(1)), 1)
      disks.set(namespace, disk)
      return new DiskCache(disk, tombstoneTtl)
    },
    { ledger: true, outOfReach: 'never' },
  )
  // What a switch never asks for: no schedule has such a key or stops a clear().
  const never = /too long one is refused|already aborted/
  for (const { name, run } of cases.filter(({ name }) => !never.test(name)))
    test.concurrent(name, run)
})
