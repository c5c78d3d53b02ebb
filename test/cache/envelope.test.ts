import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ABSENT, type Cell, NEVER, TOKEN_LENGTH } from '../../src/cache/cell.ts'
import {
  HEADER_LENGTH,
  newToken,
  openEnvelope,
  sealEnvelope,
  tombstoneEnvelope,
  valueEnvelope,
} from '../../src/cache/envelope.ts'
import { anyText } from '../support/any-text.ts'

const TTL = 60_000
const NOW = 1_795_000_000_000

const payloads = fc.oneof(
  fc.string(),
  anyText(),
  fc.json(),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
)
const times = fc.integer({ min: 0, max: NEVER })
const tokens = fc.constant('').map(newToken)

/** As a store that keeps UTF-8 gives it back. */
function stored(text: string): string {
  return Buffer.from(text).toString()
}

describe('a cell as text', () => {
  test('values read back as they were, whatever the payload', () => {
    fc.assert(
      fc.property(payloads, times, times, times, (payload, writtenAt, expiresAt, now) => {
        const envelope = valueEnvelope(payload, expiresAt)
        const cell = openEnvelope(stored(sealEnvelope(envelope, writtenAt)), now, TTL)
        const { token } = envelope
        const value: Cell = { state: 'value', token, payload, writtenAt, expiresAt, successor: '' }
        if (now < expiresAt || expiresAt === NEVER) expect(cell).toMatchObject(value)
        else if (now < Math.max(expiresAt, writtenAt) + TTL)
          expect(cell).toMatchObject({ ...value, state: 'expired', payload: '' })
        else expect(cell).toMatchObject({ ...ABSENT, token })
      }),
    )
  })

  test('tombstones too, until their time is over', () => {
    fc.assert(
      fc.property(fc.option(tokens, { nil: '' }), times, times, (successor, writtenAt, now) => {
        const envelope = tombstoneEnvelope(successor)
        const cell = openEnvelope(stored(sealEnvelope(envelope, writtenAt)), now, TTL)
        const { token } = envelope
        if (now < writtenAt + TTL) {
          expect(cell).toMatchObject({ ...ABSENT, state: 'tombstone', token, writtenAt, successor })
        } else expect(cell).toMatchObject({ ...ABSENT, token })
      }),
    )
  })

  test('cut short or lengthened anywhere, it is unreadable', () => {
    fc.assert(
      fc.property(payloads, fc.nat(), fc.string({ minLength: 1 }), (payload, at, more) => {
        const text = stored(sealEnvelope(valueEnvelope(payload, NEVER), NOW))
        expect(openEnvelope(text.slice(0, at % text.length), NOW, TTL)).toBe(undefined)
        expect(openEnvelope(text + more, NOW, TTL)).toBe(undefined)
        const tombstone = sealEnvelope(tombstoneEnvelope(''), NOW)
        expect(openEnvelope(tombstone.slice(0, at % HEADER_LENGTH), NOW, TTL)).toBe(undefined)
        expect(openEnvelope(tombstone + more, NOW, TTL)).toBe(undefined)
      }),
    )
  })

  test('anything else is unreadable, and never throws', () => {
    fc.assert(
      fc.property(fc.oneof(payloads, anyText({ minLength: 60 })), (text) => {
        expect(openEnvelope(text, NOW, TTL)).toBe(undefined)
      }),
    )
  })

  test('no flipped bit of the header makes another payload, or a value of a tombstone', () => {
    const value = Buffer.from(sealEnvelope(valueEnvelope('payload', NEVER), NOW))
    const tombstone = Buffer.from(sealEnvelope(tombstoneEnvelope(newToken()), NOW))
    for (let bit = 0; bit < HEADER_LENGTH * 8; bit++) {
      const cell = openEnvelope(flipped(value, bit), NOW, TTL)
      if (cell?.state === 'value') expect(cell.payload).toBe('payload')
      expect(cell?.state).not.toBe('tombstone')
      const dead = openEnvelope(flipped(tombstone, bit), NOW, TTL)
      expect(dead === undefined || dead.state === 'tombstone' || dead.state === 'absent').toBe(true)
    }
  })

  test('a flipped bit of the version, kind, length or separator is found', () => {
    const text = Buffer.from(sealEnvelope(valueEnvelope('payload', NEVER), NOW))
    for (const byte of [0, 1, ...Array.from({ length: 10 }, (_, i) => 64 + i)]) {
      for (let bit = 0; bit < 8; bit++) {
        const cell = openEnvelope(flipped(text, byte * 8 + bit), NOW, TTL)
        // A leading zero that became a space says the same.
        if (byte === 64 && bit === 4) expect(cell?.payload).toBe('payload')
        else expect([byte, bit, cell]).toEqual([byte, bit, undefined])
      }
    }
  })

  test('a cell of another era counts as absent, with its token', () => {
    const envelope = valueEnvelope('payload', NEVER)
    const text = `${envelope.head}${NOW}0123456789ab${envelope.tail}`
    const { token } = envelope
    expect(openEnvelope(text, NOW, TTL, '0123456789ab')?.state).toBe('value')
    const era = 'ffffffffffff'
    expect(openEnvelope(text, NOW, TTL, era)).toEqual({ ...ABSENT, token, era })
    expect(openEnvelope(text, NOW, TTL)).toMatchObject({ state: 'absent', token })
  })

  test('times outside 13 digits are held to them', () => {
    const { tail } = valueEnvelope('', Number.POSITIVE_INFINITY)
    expect(tail.slice(0, 13)).toBe(String(NEVER))
    expect(valueEnvelope('', -1).tail.slice(0, 13)).toBe('0'.repeat(13))
    expect(valueEnvelope('', 12.5).tail.slice(0, 13)).toBe('0000000000013')
  })
})

test('tokens are of one length and alphabet, and do not repeat', () => {
  const made = Array.from({ length: 5000 }, newToken)
  expect(new Set(made).size).toBe(made.length)
  for (const token of made) expect(token).toMatch(/^[\w-]+$/)
  expect(new Set(made.map(({ length }) => length))).toEqual(new Set([TOKEN_LENGTH]))
})

function flipped(text: Buffer, bit: number): string {
  const copy = Buffer.from(text)
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return copy.toString()
}
