import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Version } from './judge.ts'
import type { Scene } from './scene.ts'

/** What an app caches. Each load makes another one, so that a reader can be told where its value is from. */
export interface Profile {
  readonly id: string
  readonly version: number
  readonly load: number
}

export interface App {
  profile(id: string): Promise<Profile>
  rename(id: string): Promise<void>
  close(): Promise<void>
}

/** What an app is given; the unpatched one uses its Redis and the origin only. */
export interface Env {
  readonly redisUrl: string
  readonly newRedisUrl: string
  readonly origin: Pick<Scene, 'load' | 'save'>
  readonly switch: object
}

const APPS = join(import.meta.dirname, 'apps')

/** Lines of the patched app that are not in the old one, in order. */
export function patchOf(name: string): readonly string[] {
  const [before, after] = ['before', 'after'].map((version) =>
    readFileSync(join(APPS, name, `${version}.mjs`), 'utf8').split('\n'),
  ) as [string[], string[]]
  // The longest common subsequence, as diff has it.
  const lengths = Array.from({ length: before.length + 1 }, () =>
    Array.from({ length: after.length + 1 }, () => 0),
  )
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      const same = before[i] === after[j]
      lengths[i]![j] = same
        ? lengths[i + 1]![j + 1]! + 1
        : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!)
    }
  }
  const added: string[] = []
  for (let i = 0, j = 0; j < after.length;) {
    if (i < before.length && before[i] === after[j]) {
      i += 1
      j += 1
    } else if (i < before.length && lengths[i + 1]![j]! >= lengths[i]![j + 1]!) i += 1
    else {
      added.push(after[j]!)
      j += 1
    }
  }
  return added
}

export async function createApp(name: string, version: Version, env: Env): Promise<App> {
  const file = version === 'old' ? 'before' : 'after'
  const module = (await import(`./apps/${name}/${file}.mjs`)) as {
    createApp(env: Env): App | Promise<App>
  }
  return module.createApp(env)
}
