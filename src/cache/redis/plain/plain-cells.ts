import { ABSENT, type Cell, EXPIRY_UNKNOWN } from '../../cell.ts'
import {
  ERA_AT,
  HEADER_LENGTH,
  isEnvelope,
  openEnvelope,
  SUCCESSOR_AT,
  WRITTEN_AT,
} from '../../envelope.ts'
import { digestOf, isJson, type PlainCodec, tokenOfForeign } from '../../plain-value.ts'
import type { PlainNames } from './plain-names.ts'
import { CLAIMED } from './plain-scripts.ts'
import { FOREIGN } from '../scripts.ts'
import type { ServerState } from '../servers/server-state.ts'

/** An answer is looked at so much later at most, as a rule: its process was busy. */
const LATE_MS = 1000

/** As {@link ServerState}, as far as a cell is judged by it. */
type Server = Pick<ServerState, 'adopted' | 'since'>

/** Values under the application's own keys, each with a companion that has the rest of its cell. */
export class PlainCells {
  readonly names: PlainNames
  readonly codec: PlainCodec
  /** Whether the application's codec can read it. */
  readable: (payload: string) => boolean = isJson
  /** Called when a value that nobody here can read is left alone. */
  onUnreadable: () => void = () => undefined

  constructor(names: PlainNames, codec: PlainCodec) {
    this.names = names
    this.codec = codec
  }

  /**
   * The cell of a value (`null`: none, or not a string) and its companion.
   *
   * A value that somebody else wrote is as old as the last trace of the switch in the present era, or else as the
   * era itself; where values may have been lost since the adoption, one without such a trace may be one that came
   * back: it counts as absent (docs/guarantees.md).
   */
  open(
    [companion, value]: readonly (string | null)[],
    server: Server,
    now: number,
    tombstoneTtl: number,
    era: string,
  ): Cell {
    const trace = companion ?? ''
    const left = trace === '' ? ABSENT : openEnvelope(trace, now, tombstoneTtl, era)
    if (left === undefined && !isEnvelope(trace)) return { ...ABSENT, era, token: FOREIGN }
    const cell = { ...ABSENT, ...left, payload: '', era }
    if (value === null || value === undefined) {
      // Somebody else has deleted it, or evicted: the other side must not bring it back.
      return cell.state === 'value' ? { ...cell, state: 'tombstone', expiresAt: 0 } : cell
    }
    const digest = digestOf(value)
    const own = trace.charAt(1) === 'v' && trace.slice(HEADER_LENGTH) === digest
    if (own && cell.state === 'value') return this.#read(cell, value)
    // Somebody else has given it another expiry; or it was read just before it ended.
    if (own && cell.state === 'expired' && now > cell.expiresAt + LATE_MS) {
      return this.#read({ ...cell, state: 'value', expiresAt: EXPIRY_UNKNOWN }, value)
    }
    const claimed = own && trace.startsWith(CLAIMED, SUCCESSOR_AT)
    if (own && !(claimed && server.adopted)) return cell
    const token = own ? cell.token : tokenOfForeign(digest, cell.token)
    const traced = left !== undefined && trace.startsWith(era, ERA_AT)
    if (!traced && !server.adopted) return { ...ABSENT, era, token }
    const writtenAt = traced ? Number(trace.slice(WRITTEN_AT, ERA_AT)) : server.since
    const successor = cell.token
    const foreign: Cell = { ...ABSENT, state: 'value', token, writtenAt, era, successor }
    return this.#read({ ...foreign, expiresAt: EXPIRY_UNKNOWN }, value)
  }

  #read(cell: Cell, value: string): Cell {
    try {
      const payload = this.codec.decode(value)
      if (cell.expiresAt !== EXPIRY_UNKNOWN || this.readable(payload)) return { ...cell, payload }
    } catch {
      // The codec's error: this is no value of the application.
    }
    this.onUnreadable()
    return { ...ABSENT, token: FOREIGN, ...(cell.era === undefined ? {} : { era: cell.era }) }
  }
}
