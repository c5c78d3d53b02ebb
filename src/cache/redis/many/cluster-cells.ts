import type { CacheBackend, ManyCells, ManyWrite, WriteResult } from '../../backend.ts'
import type { Cell } from '../../cell.ts'
import type { RedisClient } from '../connection/redis-client.ts'
import { TurnCork } from '../connection/turn-cork.ts'

type Single = Pick<CacheBackend, 'read' | 'write' | 'claim'>

/**
 * Cells of a Cluster, which refuses names of several slots in one command: each has commands of its own, which
 * redirections find too, and those of one turn go to each master in one write.
 */
export class ClusterCells implements ManyCells {
  readonly claim?: NonNullable<ManyCells['claim']>
  readonly #client: RedisClient
  readonly #single: Single

  constructor(client: RedisClient, single: Single) {
    this.#client = client
    this.#single = single
    if (single.claim !== undefined) {
      this.claim = async (keys, cells) =>
        settled(this.#corked(() => keys.map(async (key, i) => single.claim!(key, cells[i]!))))
    }
  }

  async read(keys: readonly string[]): Promise<readonly Cell[]> {
    return Promise.all(this.#corked(() => keys.map(async (key) => this.#single.read(key))))
  }

  async write(
    writes: readonly ManyWrite[],
    within: number,
  ): Promise<readonly (WriteResult | undefined)[]> {
    const write = async ({ key, entry, seen }: ManyWrite): Promise<WriteResult> => {
      const { token: expect, era } = seen
      return this.#single.write(key, entry, { expect, within, ...(era !== undefined && { era }) })
    }
    return settled(this.#corked(() => writes.map(write)))
  }

  /** A system call for each command costs more than the rest. */
  #corked<T>(send: () => T): T {
    const nodes = 'nodes' in this.#client ? this.#client.nodes('master') : []
    for (const node of nodes) new TurnCork(node).hold()
    return send()
  }
}

async function settled<T>(all: readonly Promise<T>[]): Promise<readonly (T | undefined)[]> {
  const ends = await Promise.allSettled(all)
  const first = ends[0]
  if (first?.status === 'rejected' && ends.every(({ status }) => status === 'rejected'))
    throw first.reason
  return ends.map((end) => (end.status === 'fulfilled' ? end.value : undefined))
}
