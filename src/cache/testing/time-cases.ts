import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { ANY } from '../backend.ts'
import { NEVER, TOKEN_LENGTH } from '../cell.ts'
import {
  type Cases,
  type Check,
  type ConformanceOptions,
  expectValue,
  LONG,
  put,
  putIf,
  readUntil,
} from './stand.ts'

/**
 * What time does to a cell: values and tombstones end, and what comes too late or too early is
 * refused.
 */
export function timeCases(options: ConformanceOptions): Cases {
  const cases: Record<string, Check> = {
    'a value expires at its absolute time and keeps its token for tombstoneTtl': async (stand) => {
      const backend = await stand.backend(400)
      const expiresAt = backend.now() + 150
      await put(backend, 'k', '1', expiresAt)
      await readUntil(backend, 'k', (cell) => {
        // A backend reckons its store's clock low, by as long as an answer took: the one here may know better.
        const now = Math.max(backend.now(), Date.now())
        if (cell.state === 'value') assert.equal(cell.expiresAt, expiresAt)
        else assert.ok(now >= expiresAt - 5, `${cell.state} ${expiresAt - now} ms early`)
        if (cell.state === 'expired') {
          // Not that of the value, where another program may write the same text again.
          assert.notEqual(cell.token, '', 'it is not as if nothing had been there')
          assert.equal(cell.payload, '')
        }
        return cell.state === 'absent'
      })
      assert.ok(backend.now() >= expiresAt + 400 - 5, 'the token of an expired value ended early')
    },
    'a value whose date has passed already keeps its token for tombstoneTtl': async (stand) => {
      const backend = await stand.backend()
      await put(backend, 'k', '1', backend.now() - 3_600_000)
      const cell = await backend.read('k')
      assert.equal(
        cell.state,
        'expired',
        'as from a writer whose clock is an hour behind the store',
      )
      assert.notEqual(cell.token, '')
    },
    'an expired cell yields to its token': async (stand) => {
      const backend = await stand.backend()
      const expiresAt = backend.now() + 30
      await put(backend, 'k', '1', expiresAt)
      // A store that drops what has expired may be ahead of the clock that this process reckons with.
      let due = false
      const cell = await readUntil(backend, 'k', ({ state }) => {
        const wasDue = due
        due = backend.now() >= expiresAt
        return wasDue && state !== 'value'
      })
      assert.equal(cell.state, 'expired')
      assert.equal((await putIf(backend, 'k', '2', 'x'.repeat(TOKEN_LENGTH))).written, false)
      assert.equal((await putIf(backend, 'k', '2', cell.token)).written, true)
      await expectValue(backend, 'k', '2')
    },
    'a tombstone lives for tombstoneTtl, and its remnant can be written': async (stand) => {
      // Not a whole number of seconds: a store that counts in seconds must not round down.
      const backend = await stand.backend(1300)
      const from = backend.now()
      const { token } = await backend.invalidate('k', { within: LONG })
      const end = await readUntil(backend, 'k', (cell) => {
        assert.ok(cell.state === 'tombstone' || cell.state === 'absent')
        return cell.state === 'absent'
      })
      const lived = backend.now() - from
      assert.ok(lived >= 1300 - 5, `the tombstone of "k" ended after ${lived} ms, not 1300`)
      assert.ok(end.token === token || end.token === '')
      assert.equal(end.payload, '')
      assert.equal((await putIf(backend, 'k', '1', (await backend.read('k')).token)).written, true)
    },
    'a tombstone outlives the expiry of the value before it, and of the tombstone before it':
      async (stand) => {
        const backend = await stand.backend(700)
        await put(backend, 'k', '1', backend.now() + 60)
        const first = backend.now()
        const { token } = await backend.invalidate('k', { within: LONG })
        await backend.invalidate('again', { within: LONG })
        await delay(400)
        const cell = await backend.read('k')
        const second = backend.now()
        // On a busy machine the time may be over.
        if (second < first + 690) assert.equal(cell.token, token, '"k" must hold its tombstone')
        const later = await backend.invalidate('again', { within: LONG })
        await delay(400)
        const again = await backend.read('again')
        if (backend.now() < second + 690) {
          assert.equal(again.token, later.token, '"again" must hold its second tombstone')
          assert.equal(again.state, 'tombstone', '"again" must hold its second tombstone')
        }
      },
    'a value that arrives after its expiry is never served': async (stand) => {
      const backend = await stand.backend()
      const old = await put(backend, 'k', 'old')
      const entry = { payload: 'new', expiresAt: backend.now() - 1000 }
      await backend.write('k', entry, { expect: old, within: LONG })
      const cell = await backend.read('k')
      assert.ok(cell.state === 'expired' || cell.state === 'absent' || cell.payload === 'old')
    },
    'never is a long time': async (stand) => {
      const backend = await stand.backend()
      await put(backend, 'k', '1', NEVER)
      assert.equal((await backend.read('k')).expiresAt, NEVER)
    },
  }
  if (options.refusesLateWrites ?? true) {
    cases['refuses a write that comes too late'] = async (stand) => {
      const backend = await stand.backend()
      const token = await put(backend, 'k', '1')
      for (const expect of [ANY, token]) {
        const entry = { payload: '2', expiresAt: NEVER }
        const late = await backend.write('k', entry, { expect, within: -1000 })
        assert.deepEqual({ ...late }, { written: false, token: '' })
      }
      assert.equal((await expectValue(backend, 'k', '1')).token, token)
    }
  }
  if (options.honoursNotBefore ?? true) {
    cases['does not invalidate before the time given'] = async (stand) => {
      const backend = await stand.backend()
      const token = await put(backend, 'k', '1')
      const notBefore = backend.now() + 60_000
      const early = await backend.invalidate('k', { within: LONG, notBefore })
      assert.deepEqual({ ...early }, { done: false, existed: false, token: '' })
      assert.equal((await expectValue(backend, 'k', '1')).token, token)
      const done = await backend.invalidate('k', { within: LONG, notBefore: backend.now() - 1000 })
      assert.equal(done.done, true)
      assert.equal((await backend.read('k')).state, 'tombstone')
    }
  }
  return cases
}
