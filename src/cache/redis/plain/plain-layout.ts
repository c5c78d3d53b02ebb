import { SwitchbackError } from '../../../errors.ts'
import { ABSENT, type Cell, EXPIRY_UNKNOWN } from '../../cell.ts'
import {
  ERA_AT,
  HEADER_LENGTH,
  isEnvelope,
  isWellFormed,
  openEnvelope,
  SUCCESSOR_AT,
  WRITTEN_AT,
} from '../../envelope.ts'
import { digestOf, goneOf, isJson, type PlainCodec, tokenOfForeign } from '../../plain-value.ts'
import { foreignPlain } from '../redis-errors.ts'
import type { CellLayout, LayoutScripts, CellPlace } from '../layout.ts'
import { COMPANIONS, PLAIN_SPACE, PlainNames } from './plain-names.ts'
import {
  CLAIMED,
  PLAIN_ASK,
  PLAIN_CLAIM,
  PLAIN_CLAIMS,
  PLAIN_CLEAR,
  PLAIN_PUT,
  PLAIN_PUTS,
  PLAIN_READ,
  PLAIN_TOMBSTONE,
} from './plain-scripts.ts'
import { FOREIGN } from '../scripts.ts'
import type { ServerState } from '../servers/server-state.ts'

/** The application keeps the same text as the switch. */
const AS_IT_IS: PlainCodec = { encode: (payload) => payload, decode: (stored) => stored }

/** An answer is looked at so much later at most, as a rule: its process was busy. */
const LATE_MS = 1000

/** What stands for each byte that is no UTF-8. */
const NO_TEXT = '\u{FFFD}'

/** Values under the application's own keys, each with a companion that has the rest of its cell. */
export class PlainLayout implements CellLayout {
  readonly scripts: LayoutScripts = {
    put: PLAIN_PUT,
    puts: PLAIN_PUTS,
    tombstone: PLAIN_TOMBSTONE,
    clear: PLAIN_CLEAR,
    ask: PLAIN_ASK,
    read: PLAIN_READ,
    claim: PLAIN_CLAIM,
    claims: PLAIN_CLAIMS,
  }
  readonly outsiders: boolean = true
  readonly ownPrefix: string = PLAIN_SPACE
  /** `clear` deletes what the switch itself wrote. */
  readonly cleared: string = COMPANIONS
  readonly prefix: string
  readable: (payload: string) => boolean = isJson
  onForeign: () => void = () => undefined
  readonly #names: PlainNames
  readonly #codec: PlainCodec

  constructor(prefix: string, clientPrefix: string, codec: PlainCodec = AS_IT_IS) {
    this.prefix = prefix
    this.#names = new PlainNames(prefix, clientPrefix)
    this.#codec = codec
  }

  get space(): string {
    return PLAIN_SPACE + this.prefix
  }

  get stateName(): string {
    return this.#names.state
  }

  get watched(): readonly string[] {
    return this.#names.watched
  }

  namesOf(key: string): readonly string[] {
    const value = this.#names.valueOf(key)
    return [this.#names.companionOf(value), value]
  }

  placeOf(key: string, payload?: string): CellPlace {
    const value = this.#names.valueOf(key)
    const text = payload === undefined ? '' : this.#codec.encode(payload)
    if (!isWellFormed(text)) throw halfASurrogate()
    return { name: this.#names.companionOf(value), beside: { name: value, text } }
  }

  cellOf(name: string): CellPlace | undefined {
    const value = this.#names.ofChanged(name)
    return value === undefined ? undefined : { name, beside: { name: value, text: '' } }
  }

  keyOf(name: string): string | undefined {
    const key = name.slice(this.prefix.length)
    // What another key may be hashed to is told by its companion only.
    return name.startsWith(PLAIN_SPACE) || key.startsWith('#') ? undefined : key
  }

  toldAs(name: string): readonly string[] {
    const value = this.#names.ofChanged(name)
    return value === undefined ? [] : this.#names.toldAs(value)
  }

  foreignData(pattern: string): SwitchbackError {
    return foreignPlain(pattern)
  }

  /**
   * The cell of a value (`null`: none, or not a string) and its companion.
   *
   * A value that somebody else wrote is as old as the last trace of the switch in the present era, or else as the
   * era itself; where values may have been lost since the adoption, one without such a trace may be one that came
   * back: it counts as deleted (docs/guarantees.md).
   */
  open(
    [companion, value]: readonly (string | null)[],
    server: ServerState,
    tombstoneTtl: number,
    era: string,
  ): Cell {
    const trace = companion ?? ''
    const now = server.clock.now()
    const left = trace === '' ? ABSENT : openEnvelope(trace, now, tombstoneTtl, era)
    if (left === undefined && !isEnvelope(trace)) return { ...ABSENT, era, token: FOREIGN }
    const cell: Cell = { ...ABSENT, ...left, payload: '', era }
    const isOfValue = trace.charAt(1) === 'v'
    if (value === null || value === undefined) {
      // Of a former era: the companion tells of a value that nobody but another program can have taken away alone.
      const isFormer = isOfValue && !trace.startsWith(era, ERA_AT)
      const { stale: _stale, ...gone } = isFormer ? { ...cell, state: 'value' as const } : cell
      return goneOf(gone, isOfValue)
    }
    const digest = digestOf(value)
    const own = isOfValue && trace.slice(HEADER_LENGTH) === digest
    if (own && cell.state === 'value') return this.#read(cell, value)
    // It ended after Redis had answered; or somebody else has given it another expiry.
    if (own && cell.state === 'expired') {
      const expiresAt = now <= cell.expiresAt + LATE_MS ? cell.expiresAt : EXPIRY_UNKNOWN
      return this.#read({ ...cell, state: 'value', expiresAt }, value)
    }
    const claimed = own && trace.startsWith(CLAIMED, SUCCESSOR_AT)
    if (own && !(claimed && (server.adopted || cell.state === 'absent'))) return cell
    const token = own ? cell.token : tokenOfForeign(digest, cell.token)
    const traced = left !== undefined && trace.startsWith(era, ERA_AT)
    // The trace beside another type has the time of a tombstone that had ended.
    const writtenAt = traced
      ? Math.max(Number(trace.slice(WRITTEN_AT, ERA_AT)), server.since)
      : server.since
    const successor = cell.token
    const foreign: Cell = { ...ABSENT, state: 'value', token, writtenAt, era, successor }
    // Bytes that are no text arrive so. A codec that reads any text would not notice.
    if (this.#codec !== AS_IT_IS && value.includes(NO_TEXT)) return this.#unreadable(era)
    const read = this.#read({ ...foreign, expiresAt: EXPIRY_UNKNOWN }, value)
    if (traced || server.adopted || read.state === 'absent') return read
    // Not absent: what the other side has may be older, and must not be put over it.
    return { ...ABSENT, state: 'tombstone', era, token }
  }

  #read(cell: Cell, value: string): Cell {
    try {
      const payload = this.#codec.decode(value)
      if (cell.expiresAt !== EXPIRY_UNKNOWN || this.readable(payload)) return { ...cell, payload }
    } catch {
      // The codec's error: this is no value of the application.
    }
    return this.#unreadable(cell.era ?? '')
  }

  #unreadable(era: string): Cell {
    this.onForeign()
    return { ...ABSENT, token: FOREIGN, era }
  }
}

function halfASurrogate(): SwitchbackError {
  const what = 'A text with half of a surrogate pair cannot be stored as it is'
  const hint = 'encode it as JSON, which escapes it, or give redisCache a `codec` that does'
  return new SwitchbackError('SB_VALUE_NOT_SERIALIZABLE', what, { hint })
}
