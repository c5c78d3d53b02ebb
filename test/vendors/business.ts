import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CacheBackend, fileCache, memoryCache } from '../../src/cache/index.ts'
import { type Decider, type DecisionContext, runAs } from '../../src/flags/index.ts'
import { createCacheSwitch, type CacheSwitch, type OperationInfo } from '../../src/switch/index.ts'
import { FLAG } from './vendor.ts'

/** Business code: knows a cache, a key and a loader. It is the same for every vendor. */
export class Profiles {
  readonly #cache: CacheSwitch
  readonly #database = new Map<string, string>()
  /** How often the database was asked. */
  loads = 0

  constructor(cache: CacheSwitch) {
    this.#cache = cache
  }

  nameOf(user: string): Promise<string> {
    return this.#cache.getOrSet(`profile:${user}`, () => {
      this.loads += 1
      return this.#database.get(user) ?? `name of ${user}`
    })
  }

  async rename(user: string, name: string): Promise<void> {
    this.#database.set(user, name)
    await this.#cache.delete(`profile:${user}`)
  }
}

/** Business code on a switch, and who asks it. */
export interface Business {
  readonly profiles: Profiles
  /** Asks as a request of this user would: the user comes from OpenFeature's transaction context. */
  ask(user: string): Promise<string>
  rename(user: string, name: string): Promise<void>
  /** The decision for one operation of the switch, in full. */
  operation(context: DecisionContext): Promise<OperationInfo>
  close(): Promise<void>
}

/** On a file cache and a cache in memory. */
export function openOnFiles(decider: Decider): Business {
  const directory = mkdtempSync(join(tmpdir(), 'switchback-vendor-'))
  return openBusiness(decider, fileCache({ directory }), () => {
    rmSync(directory, { recursive: true, force: true })
  })
}

/** On two caches in memory: where many are opened. */
export function openInMemory(decider: Decider): Business {
  return openBusiness(decider, memoryCache())
}

function openBusiness(decider: Decider, off: CacheBackend, cleanUp?: () => void): Business {
  // A file that a busy machine reads too late would be one load more.
  const cache = createCacheSwitch({ flag: FLAG, off, on: memoryCache(), decider, deadlineMs: 5000 })
  const profiles = new Profiles(cache)
  return {
    profiles,
    ask: (user) =>
      runAs(user, async () => {
        await Promise.resolve()
        return profiles.nameOf(user)
      }),
    rename: (user, name) => runAs(user, () => profiles.rename(user, name)),
    operation: async (context) => {
      let info: OperationInfo | undefined
      const view = cache.for(context, {
        onOperation: (operation) => {
          info = operation
        },
      })
      await view.getOrSet(`probe:${context.targetingKey ?? ''}`, () => 'probe')
      return info as OperationInfo
    },
    close: async () => {
      await cache.close()
      cleanUp?.()
    },
  }
}
