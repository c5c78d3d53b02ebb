import type { ManyCells, ManyWrite, WriteResult } from '../../backend.ts'
import { type Cell, NEVER } from '../../cell.ts'
import { ENVELOPE_VERSION, timeDigits, valueEnvelope } from '../../envelope.ts'
import { digestOf } from '../../plain-value.ts'
import { type Batch, TurnReads } from '../cell-reads.ts'
import type { CellLayout } from '../layout.ts'
import { OUTCOME, scriptAnswer } from '../scripts.ts'
import type { Server } from '../servers/server.ts'
import { type ManyRun, ManyRuns, type ManyRunsParts } from './many-runs.ts'

export interface ManyCellsParts extends Omit<ManyRunsParts, 'answered' | 'stateName'> {
  readonly server: Server
  readonly layout: CellLayout
  /** Another program's data is under a key. */
  readonly onForeign: () => void
}

const NOT_WRITTEN: WriteResult = { written: false, token: '' }
const FOREIGN_THERE: WriteResult = { written: false, token: '', foreign: true }

/** Cells of one server. */
export class ServerCells implements ManyCells {
  readonly claim?: NonNullable<ManyCells['claim']>
  readonly #parts: ManyCellsParts
  readonly #reads: TurnReads
  readonly #puts: ManyRuns

  constructor(parts: ManyCellsParts) {
    const { client, layout } = parts
    const { scripts, stateName } = layout
    this.#parts = parts
    this.#reads = new TurnReads(client)
    const answered = (replies: readonly string[], sentAt: number): Promise<void> =>
      this.#learn(replies, sentAt)
    this.#puts = new ManyRuns(scripts.puts, { ...parts, stateName, answered })
    if (scripts.claims !== undefined) {
      const claims = new ManyRuns(scripts.claims, { ...parts, stateName })
      this.claim = (keys, cells) => this.#claim(claims, keys, cells)
    }
  }

  async read(keys: readonly string[]): Promise<readonly Cell[]> {
    const { layout, server, tombstoneTtl, failure } = this.#parts
    // Others who ask in the same turn share a batch.
    const places: { readonly batch: Batch; readonly at: number }[][] = []
    for (const key of keys) {
      const place = (name: string): { readonly batch: Batch; readonly at: number } => {
        const batch = this.#reads.add(name)
        return { batch, at: batch.names.length - 1 }
      }
      places.push(layout.namesOf(key).map(place))
    }
    const batches = [...new Set(places.flat().map(({ batch }) => batch))]
    try {
      // An era counts for what was answered before it is known, and not for what another server has answered.
      const answers = batches.map(async ({ texts }) => ({
        texts: await texts,
        era: await this.#era(),
      }))
      const found = await Promise.all(answers)
      const era = found[0]?.era ?? ''
      if (found.some((one) => one.era !== era)) throw new Error('the store is in another era')
      const textsOf = new Map(batches.map((batch, i) => [batch, found[i]!.texts]))
      return places.map((each) => {
        const texts = each.map(({ batch, at }) => textsOf.get(batch)![at] ?? null)
        return layout.open(texts, server, tombstoneTtl(), era)
      })
    } catch (error) {
      throw failure(error)
    }
  }

  async write(
    writes: readonly ManyWrite[],
    within: number,
  ): Promise<readonly (WriteResult | undefined)[]> {
    const { server, layout, onForeign } = this.#parts
    const startedAt = performance.now()
    const era = await this.#era()
    const results: (WriteResult | undefined)[] = writes.map(() => NOT_WRITTEN)
    const runs: ManyRun[] = []
    const sent: { readonly at: number; readonly token: string }[] = []
    for (const [at, { key, entry, seen }] of writes.entries()) {
      if (seen.era !== undefined && seen.era !== '' && seen.era !== era) continue
      const { name, beside } = layout.placeOf(key, entry.payload)
      const text = beside?.text ?? entry.payload
      const payload = beside === undefined ? text : digestOf(text)
      const { token, head, tail } = valueEnvelope(payload, entry.expiresAt)
      const args = [head + seen.token, tail]
      const names = [name]
      if (beside !== undefined) {
        names.push(beside.name)
        args.push(text)
      }
      runs.push({ names, args, units: text.length })
      sent.push({ at, token })
    }
    const deadline = server.clock.now() + within - (performance.now() - startedAt)
    const replies = await this.#puts.run(runs, deadline, era)
    for (const [i, { at, token }] of sent.entries()) {
      const reply = replies[i]
      const outcome = reply === undefined ? undefined : scriptAnswer(reply).outcome
      if (outcome === undefined) results[at] = undefined
      else if (outcome === OUTCOME.done) results[at] = { written: true, token }
      else if (outcome === OUTCOME.foreign) {
        onForeign()
        results[at] = FOREIGN_THERE
      }
    }
    return results
  }

  async #claim(
    claims: ManyRuns,
    keys: readonly string[],
    cells: readonly Cell[],
  ): Promise<readonly (number | undefined)[]> {
    const era = cells[0]?.era ?? ''
    if (cells.some((cell) => cell.era !== era)) return cells.map(() => undefined)
    const runs = cells.map(({ token, payload, writtenAt }, i) => ({
      names: this.#parts.layout.namesOf(keys[i]!),
      args: [`${ENVELOPE_VERSION}v${token}${token}`, timeDigits(writtenAt)],
      units: payload.length,
    }))
    const replies = await claims.run(runs, NEVER, era)
    return replies.map((reply) => (reply ? Number(reply) : undefined))
  }

  /** The present one, once the server has reported it. */
  async #era(): Promise<string> {
    const { server } = this.#parts
    if (!server.trusted) await server.ask()
    return server.cellEra
  }

  /** From the last answer that has the time. */
  async #learn(replies: readonly string[], sentAt: number): Promise<void> {
    const { server } = this.#parts
    const answers = replies.map(scriptAnswer).filter(({ serverTime }) => serverTime > 0)
    const last = answers.at(-1)
    if (last !== undefined) server.learn(last.serverTime, sentAt)
    const isOver = answers.some(({ outcome }) => outcome === OUTCOME.era)
    if (isOver || !server.trusted) await server.ask()
  }
}
