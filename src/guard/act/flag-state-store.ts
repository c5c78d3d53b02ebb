import { rm } from 'node:fs/promises'
import { fileStore, type StateStore } from './state-store.ts'

export interface FlagStoreOptions {
  readonly flag: string
  /** Where the guard of a flag keeps its state. */
  readonly fileOf: (flag: string) => string
  /** Where earlier versions kept that of any flag of the flags file. */
  readonly before: string
}

/**
 * The state of one of the flags of a flags file. A guard of another flag never writes there: it would erase that
 * this one has gone back, and this one would act again.
 */
export function flagStore({ flag, fileOf, before }: FlagStoreOptions): StateStore {
  const store = fileStore(fileOf(flag))
  let moved = false

  /** The state that an earlier version left goes to its own flag, before anything is written over it. */
  async function moveOlder(): Promise<void> {
    if (moved) return
    const older = await fileStore(before).load()
    moved = true
    if (older === undefined) return
    const own = fileOf(older.flag)
    if (own === before) return
    const there = fileStore(own)
    if ((await there.load()) === undefined) await there.save(older)
    await rm(before, { force: true })
  }

  return {
    ...store,
    async load() {
      await moveOlder()
      return store.load()
    },
    async save(state) {
      await moveOlder()
      await store.save(state)
    },
  }
}
