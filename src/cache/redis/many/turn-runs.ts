import { NEVER } from '../../cell.ts'
import type { RedisNode } from '../connection/client.ts'
import { evaluate, type Script } from '../scripts.ts'
import type { Server } from '../servers/server.ts'
import { ERROR_MARK } from './many-scripts.ts'

/** The server does nothing else meanwhile: some 10 us for each. */
const MAX_CELLS = 100
/** Characters of values: it copies them, and makes a digest of some. */
const MAX_UNITS = 131_072

export interface TurnRunsParts {
  readonly client: RedisNode
  /** The only one: a Cluster refuses names of several slots in one script. */
  readonly server: Server
  readonly stateName: string
  readonly tombstoneTtl: () => number
  /** What a refused command is told as. */
  readonly failure: (error: unknown) => Error
  /** Awaited with all answers of a command before any of them counts. */
  readonly answered?: (replies: readonly string[], sentAt: number) => Promise<void>
}

/** What is asked for one cell. */
export interface TurnRun {
  readonly names: readonly string[]
  /** Those of the single script without the deadline, tombstoneTtl and era. */
  readonly args: readonly string[]
  /** Characters of its value. */
  readonly units: number
  /** By the server's clock. */
  readonly deadline: number
  readonly era: string
}

interface Batch {
  readonly era: string
  readonly names: string[]
  readonly args: string[]
  readonly waiting: Waiting[]
  units: number
  deadline: number
}

interface Waiting {
  readonly resolve: (reply: string) => void
  readonly reject: (error: unknown) => void
}

/**
 * Runs a script for all cells that were asked for in one turn of the event loop with one command, for who copies
 * many: client and server take as long for a command as for several cells. As in `TurnReads`, nothing waits longer
 * than its own turn.
 */
export class TurnRuns {
  readonly #script: Script
  readonly #parts: TurnRunsParts
  #open: Batch | undefined

  /** @param script see `manyOf` */
  constructor(script: Script, parts: TurnRunsParts) {
    this.#script = script
    this.#parts = parts
  }

  /** What the script answers for this cell. */
  run({ names, args, units, deadline, era }: TurnRun): Promise<string> {
    let batch = this.#open
    if (batch !== undefined && (batch.era !== era || batch.units + units > MAX_UNITS)) {
      this.#send(batch)
      batch = undefined
    }
    batch ??= this.#begin(era)
    batch.names.push(...names)
    batch.args.push(...args)
    batch.units += units
    batch.deadline = Math.min(batch.deadline, deadline)
    const { waiting } = batch
    const answer = new Promise<string>((resolve, reject) => waiting.push({ resolve, reject }))
    if (waiting.length >= MAX_CELLS) this.#send(batch)
    return answer
  }

  #begin(era: string): Batch {
    const deadline = NEVER
    const batch: Batch = { era, names: [], args: [], waiting: [], units: 0, deadline }
    this.#open = batch
    process.nextTick(() => {
      // It may have been sent already.
      if (this.#open === batch) this.#send(batch)
    })
    return batch
  }

  #send(batch: Batch): void {
    this.#open = undefined
    const { waiting } = batch
    const { failure } = this.#parts
    void this.#evaluate(batch).then(
      (replies) => {
        for (const [i, { resolve, reject }] of waiting.entries()) {
          const reply = replies[i]!
          if (reply.startsWith(ERROR_MARK)) reject(failure(refusal(reply)))
          else resolve(reply)
        }
      },
      (error: unknown) => {
        const told = failure(error)
        for (const { reject } of waiting) reject(told)
      },
    )
  }

  async #evaluate({ era, names, args, waiting, deadline }: Batch): Promise<readonly string[]> {
    const { client, stateName, tombstoneTtl, answered } = this.#parts
    names.push(stateName)
    const shared = [String(deadline), String(Math.ceil(tombstoneTtl())), era]
    const sentAt = performance.now()
    const found = await evaluate(client, this.#script, names, [...shared, ...args])
    const replies = Array.isArray(found) ? found.map(String) : waiting.map(() => String(found))
    if (replies.length !== waiting.length) {
      throw new TypeError('a script for several cells was answered with a list of another length')
    }
    await answered?.(replies, sentAt)
    return replies
  }
}

/** An error that the script caught, as if it had been the answer. */
function refusal(reply: string): Error {
  const error = new Error(reply.slice(ERROR_MARK.length))
  error.name = 'ReplyError'
  return error
}
