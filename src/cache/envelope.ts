import { randomFillSync } from 'node:crypto'
import { ABSENT, type Cell, NEVER, TOKEN_LENGTH } from './cell.ts'

/**
 * A cell as text, for a store that knows only strings: a header of fixed width, then the payload.
 * It is checked without parsing the payload, and a script inside the store can compare the token by
 * its position. The layout is in docs/adr/0008-cells-and-eras.md.
 */

export const ENVELOPE_VERSION = '2'
export const HEADER_LENGTH = 74
/** Of the first version, whose cells may still be there after an upgrade. */
export const FIRST_HEADER_LENGTH = 62
/** Where the token stands, from 0. */
export const TOKEN_AT = 2
export const WRITTEN_AT = 14
export const ERA_AT = 27
export const EXPIRES_AT = 39
export const SUCCESSOR_AT = 52
export const LENGTH_AT = 64
const SEPARATOR_AT = 73
/** Of a store that has no eras. */
const NO_ERA = '.'.repeat(EXPIRES_AT - ERA_AT)

const VALUE = 'v'
const ENCODED_VALUE = 'b'
const TOMBSTONE = 'x'
const NO_SUCCESSOR = '.'.repeat(TOKEN_LENGTH)
const NO_EXPIRY = '0'.repeat(13)

const CODE_VERSION = ENVELOPE_VERSION.charCodeAt(0)
const CODE_VALUE = VALUE.charCodeAt(0)
const CODE_ENCODED_VALUE = ENCODED_VALUE.charCodeAt(0)
const CODE_TOMBSTONE = TOMBSTONE.charCodeAt(0)
const CODE_SEPARATOR = 124
const CODE_DOT = 46

/** The text of a cell around its `writtenAt` and era, which the store itself may stamp. */
export interface Envelope {
  readonly token: string
  /** Version, kind, token. */
  readonly head: string
  /** Everything after the era. */
  readonly tail: string
}

export function valueEnvelope(payload: string, expiresAt: number): Envelope {
  // UTF-8 cannot carry a lone surrogate: such a payload travels as base64 of its UTF-16 units.
  const plain = isWellFormed(payload)
  const stored = plain ? payload : Buffer.from(payload, 'utf16le').toString('base64')
  const token = newToken()
  return {
    token,
    head: ENVELOPE_VERSION + (plain ? VALUE : ENCODED_VALUE) + token,
    tail: `${timeDigits(expiresAt)}${NO_SUCCESSOR}${String(stored.length).padStart(9, '0')}|${stored}`,
  }
}

export function tombstoneEnvelope(successor: string): Envelope {
  const token = newToken()
  return {
    token,
    head: ENVELOPE_VERSION + TOMBSTONE + token,
    tail: `${NO_EXPIRY}${successor === '' ? NO_SUCCESSOR : successor}000000000|`,
  }
}

/** The whole text, for a store that does not stamp cells itself. */
export function sealEnvelope(envelope: Envelope, writtenAt: number): string {
  return envelope.head + timeDigits(writtenAt) + NO_ERA + envelope.tail
}

/**
 * The cell that a text stands for at the time `now` (store clock), or `undefined` when the text is
 * not one of ours: another version, cut short, or anything else. Never throws.
 *
 * @param tombstoneTtl what has been dead for longer counts as absent (its token is kept)
 * @param era the present era of the store: a cell of another one counts as absent too
 */
export function openEnvelope(
  text: string,
  now: number,
  tombstoneTtl: number,
  era: string = NO_ERA,
): Cell | undefined {
  if (text.charCodeAt(0) !== CODE_VERSION || text.charCodeAt(SEPARATOR_AT) !== CODE_SEPARATOR) {
    return undefined
  }
  const kind = text.charCodeAt(1)
  const writtenAt = digitsAt(text, WRITTEN_AT, ERA_AT)
  const expiresAt = digitsAt(text, EXPIRES_AT, SUCCESSOR_AT)
  if (text.length - HEADER_LENGTH !== digitsAt(text, LENGTH_AT, SEPARATOR_AT)) return undefined
  if (writtenAt < 0 || expiresAt < 0) return undefined
  const token = text.slice(TOKEN_AT, WRITTEN_AT)
  if (!TOKEN.test(token)) return undefined
  if (!text.startsWith(era, ERA_AT)) return { ...ABSENT, token, era }
  if (kind === CODE_VALUE || kind === CODE_ENCODED_VALUE) {
    const stored = text.slice(HEADER_LENGTH)
    const payload = kind === CODE_VALUE ? stored : decodeUnits(stored)
    if (now < expiresAt || expiresAt === NEVER) {
      return { state: 'value', token, payload, writtenAt, expiresAt, successor: '', era }
    }
    // A writer whose clock is behind the store's may have given a date that had passed already.
    if (now >= Math.max(expiresAt, writtenAt) + tombstoneTtl) return { ...ABSENT, token, era }
    const stale = payload
    return { state: 'expired', token, payload: '', writtenAt, expiresAt, successor: '', era, stale }
  }
  if (kind !== CODE_TOMBSTONE || text.length !== HEADER_LENGTH) return undefined
  if (now >= writtenAt + tombstoneTtl) return { ...ABSENT, token, era }
  const successor =
    text.charCodeAt(SUCCESSOR_AT) === CODE_DOT ? '' : text.slice(SUCCESSOR_AT, LENGTH_AT)
  return { state: 'tombstone', token, payload: '', writtenAt, expiresAt: 0, successor, era }
}

/**
 * A filler passes the token that it missed. One that UTF-8 could not carry would never match again,
 * and the cell would never be filled.
 */
const TOKEN = /^[\w-]{12}$/

/** A header of any version: at first sight of whatever kind, its fields are checked when it is opened. */
const ENVELOPE: RegExp = new RegExp(
  String.raw`^\d[vbx](?:[\w.-]{${FIRST_HEADER_LENGTH - 3}}|[\w.-]{${HEADER_LENGTH - 3}})\|`,
)

/**
 * Whether a text was written by this library, be it that this version cannot read it. Anything else
 * belongs to another program and is never replaced.
 */
export function isEnvelope(text: string): boolean {
  return ENVELOPE.test(text)
}

/** Node 20 has it, the compiler's `es2023` library does not. */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed()
}

/**
 * A number, or -1. (Measured: a loop over `charCodeAt` takes half as long in an empty process and
 * twice as long in one that has loaded ioredis.)
 */
function digitsAt(text: string, from: number, to: number): number {
  const value = Number(text.slice(from, to))
  return value >= 0 ? value : -1
}

function decodeUnits(stored: string): string {
  return Buffer.from(stored, 'base64').toString('utf16le')
}

/** Epoch milliseconds as 13 digits, within 0 and `NEVER`. */
export function timeDigits(time: number): string {
  const whole = Math.min(Math.max(Math.ceil(time), 0), NEVER)
  return whole >= 1_000_000_000_000 ? String(whole) : String(whole).padStart(13, '0')
}

const POOL_TOKENS = 1024
const pool = Buffer.alloc((POOL_TOKENS * TOKEN_LENGTH * 3) / 4)
let poolText = ''
let poolAt = 0

/** 72 random bits. */
export function newToken(): string {
  if (poolAt === poolText.length) {
    poolText = randomFillSync(pool).toString('base64url')
    poolAt = 0
  }
  poolAt += TOKEN_LENGTH
  return poolText.slice(poolAt - TOKEN_LENGTH, poolAt)
}
