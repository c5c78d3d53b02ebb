import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { NEVER } from '../cell.ts'
import { MAX_KEY_BYTES } from '../storage-key.ts'
import { type Cases, type ConformanceOptions, expectValue, LONG, put } from './stand.ts'

const PAYLOADS: readonly string[] = [
  '',
  ' ',
  '0',
  'null',
  '{"a":"b"}',
  '\0',
  'a\0b\0',
  '\ufeffwith a byte order mark',
  'é e\u0301 日本語 🎉',
  '\ud800',
  'lone \udfff and \ud83d inside',
  'line\r\nbreaks\n\t',
  '\uffff\ufffe\ufffd',
  "'; DROP TABLE cells; --",
  '*1\r\n$4\r\nPING\r\n',
  'v1:value:99999999999999:',
]

const KEYS: readonly string[] = [
  'k',
  'K',
  ' k',
  'k ',
  '0',
  '00',
  '#',
  '##',
  '#k',
  '\0',
  'k\0',
  'k\0k',
  'a:b',
  'a/b',
  'a\\b',
  'a',
  '..',
  '../../etc/passwd',
  '/',
  '*',
  'k*',
  '[a-z]?',
  '{tag}',
  '{tag}x',
  '__proto__',
  'constructor',
  'é',
  'e\u0301',
  '日本語',
  '🎉',
  '\ud83c',
  '\udf89',
  '\ufffd',
  '\ufeff',
  'new\nline',
  'k'.repeat(300),
  `${'k'.repeat(299)}l`,
  'k'.repeat(MAX_KEY_BYTES),
]

/** Keys and payloads: any string. */
export function textCases(options: ConformanceOptions): Cases {
  return {
    'payloads: any string reads back as it was': async (stand) => {
      const backend = await stand.backend()
      for (const payload of [...PAYLOADS, ...Array.from({ length: 100 }, () => randomText(60))]) {
        await put(backend, 'k', payload)
        await expectValue(backend, 'k', payload)
      }
    },
    'payloads: large ones read back as they were': async (stand) => {
      const backend = await stand.backend()
      const length = options.largestPayload ?? 1_048_576
      for (const unit of ['x', 'é', '日', '\ud800', '\0']) {
        await put(backend, 'k', unit.repeat(length))
        await expectValue(backend, 'k', unit.repeat(length))
      }
    },
    'keys: every string is a cell of its own': async (stand) => {
      const backend = await stand.backend()
      const keys = [...new Set([...KEYS, ...Array.from({ length: 100 }, () => randomText(20))])]
      for (const [i, key] of keys.entries()) await put(backend, key, String(i))
      for (const [i, key] of keys.entries()) await expectValue(backend, key, String(i))
      for (const [i, key] of keys.entries()) {
        if (i % 2 === 0) await backend.invalidate(key, { within: LONG })
      }
      for (const [i, key] of keys.entries()) {
        assert.equal((await backend.read(key)).state, i % 2 === 0 ? 'tombstone' : 'value')
      }
    },
    'keys: an empty or too long one is refused': async (stand) => {
      const backend = await stand.backend()
      const entry = { payload: '1', expiresAt: NEVER }
      const options = { expect: '', within: LONG }
      for (const [key, code] of [
        ['', 'SB_KEY_INVALID'],
        ['k'.repeat(MAX_KEY_BYTES + 1), 'SB_KEY_TOO_LONG'],
      ] as const) {
        await assert.rejects(async () => backend.read(key), { code })
        await assert.rejects(async () => backend.write(key, entry, options), { code })
        await assert.rejects(async () => backend.invalidate(key, options), { code })
      }
    },
  }
}

/** UTF-16 code units drawn so that NULs, escapes, surrogate pairs and lone surrogates all come up. */
function randomText(maxLength: number): string {
  const units = Array.from({ length: randomInt(1, maxLength + 1) }, () => {
    switch (randomInt(4)) {
      case 0:
        return randomInt(0x80)
      case 1:
        return 0xd800 + randomInt(0x800)
      default:
        return randomBytes(2).readUInt16LE()
    }
  })
  return String.fromCharCode(...units)
}
