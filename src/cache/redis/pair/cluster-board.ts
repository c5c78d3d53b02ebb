import type { BoardAnswer } from '../../backend.ts'
import type { Cell } from '../../cell.ts'
import { type BoardParts, StateBoard } from './board.ts'

export interface ClusterBoardParts extends BoardParts {
  readonly read: (key: string) => Promise<Cell>
}

/**
 * Of a Cluster: the state of the pair is one hash in one slot, its head, and no cell is beside it. Its era is
 * a part of the era of every cell (`server.ts`), so another one leaves behind all that the Cluster has. Who
 * has no licence hears it anew for each key, since no script can read it with the cell.
 */
export class ClusterBoard extends StateBoard {
  readonly #parts: ClusterBoardParts

  constructor(parts: ClusterBoardParts) {
    super(parts)
    this.#parts = parts
  }

  override async ask(key: string): Promise<BoardAnswer> {
    const { server } = this.#parts
    const answer = await super.ask(key)
    // Whichever node has answered may have taken over since anybody asked who it is.
    await server.askAnew()
    return server.heard?.stamp === answer.stamp ? answer : { ...answer, owes: true }
  }

  async read(key: string, stamp: string): Promise<Cell | undefined> {
    const { server, read } = this.#parts
    await server.askAnew()
    return server.heard?.peer === stamp ? read(key) : undefined
  }
}
