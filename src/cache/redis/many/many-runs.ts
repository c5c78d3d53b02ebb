import type { RedisNode } from '../connection/redis-client.ts'
import { evaluate, type Script } from '../scripts.ts'
import { ERROR_MARK } from './many-scripts.ts'

/** The server does nothing else meanwhile: some 10 us for each. */
const MAX_CELLS = 100
/** Characters of values: it copies them, and makes a digest of some. */
const MAX_UNITS = 131_072

export interface ManyRunsParts {
  /** The only one: a Cluster refuses names of several slots in one script. */
  readonly client: RedisNode
  readonly stateName: string
  readonly tombstoneTtl: () => number
  /** What a refused command is told as. */
  readonly failure: (error: unknown) => Error
  /** Awaited with all answers of a command before any of them counts. */
  readonly answered?: (replies: readonly string[], sentAt: number) => Promise<void>
}

/** What is asked for one cell. */
export interface ManyRun {
  readonly names: readonly string[]
  /** Those of the single script without the deadline, tombstoneTtl and era. */
  readonly args: readonly string[]
  /** Characters of its value. */
  readonly units: number
}

/** Runs a script for many cells with few commands: client and server take as long for one as for several cells. */
export class ManyRuns {
  readonly #script: Script
  readonly #parts: ManyRunsParts

  /** @param script see `manyOf` */
  constructor(script: Script, parts: ManyRunsParts) {
    this.#script = script
    this.#parts = parts
  }

  /**
   * What the script answers for each; `undefined`: an error of this one. Rejects where a command failed, be it that
   * others were done.
   *
   * @param deadline by the server's clock
   */
  async run(
    runs: readonly ManyRun[],
    deadline: number,
    era: string,
  ): Promise<(string | undefined)[]> {
    const sent: Promise<(string | undefined)[]>[] = []
    for (let from = 0; from < runs.length;) {
      let to = from
      for (let units = 0; to < runs.length && to - from < MAX_CELLS; to += 1) {
        units += runs[to]!.units
        if (units > MAX_UNITS && to > from) break
      }
      sent.push(this.#send(runs.slice(from, to), deadline, era))
      from = to
    }
    return (await Promise.all(sent)).flat()
  }

  async #send(
    runs: readonly ManyRun[],
    deadline: number,
    era: string,
  ): Promise<(string | undefined)[]> {
    const { client, stateName, tombstoneTtl, answered, failure } = this.#parts
    const keys: string[] = []
    const args = [String(deadline), String(Math.ceil(tombstoneTtl())), era]
    for (const run of runs) {
      keys.push(...run.names)
      args.push(...run.args)
    }
    keys.push(stateName)
    const sentAt = performance.now()
    try {
      const found = await evaluate(client, this.#script, keys, args)
      const replies = Array.isArray(found) ? found.map(String) : runs.map(() => String(found))
      if (replies.length !== runs.length) {
        throw new TypeError('a script for several cells was answered with a list of another length')
      }
      await answered?.(replies, sentAt)
      return replies.map((reply) => (reply.startsWith(ERROR_MARK) ? undefined : reply))
    } catch (error) {
      throw failure(error)
    }
  }
}
