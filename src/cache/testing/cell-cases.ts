import assert from 'node:assert/strict'
import { ABSENT, TOKEN_LENGTH } from '../cell.ts'
import { type Cases, expectValue, LONG, put, putIf, readUntil } from './stand.ts'

/** The states of a cell, and the result of each expectation. */
export function cellCases(): Cases {
  return {
    'introduces itself': async (stand) => {
      const backend = await stand.backend(12_345)
      assert.match(backend.name, /^[a-z][\w-]*$/)
      assert.equal(backend.tombstoneTtl, 12_345)
      assert.ok(Math.abs(backend.now() - Date.now()) < 3_600_000, 'now() is epoch milliseconds')
      await backend.ping()
    },
    'knows nothing of a key never written': async (stand) => {
      const backend = await stand.backend()
      const { era: _, ...cell } = await backend.read('k')
      const { era: _era, ...absent } = ABSENT
      assert.deepEqual(cell, absent)
    },
    'reads back what was written, with a token and its times': async (stand) => {
      const backend = await stand.backend()
      await backend.ping()
      const before = backend.now()
      const expiresAt = before + LONG
      const payload = '{"a":1}'
      const token = await put(backend, 'k', payload, expiresAt)
      const cell = await backend.read('k')
      assert.equal(token.length, TOKEN_LENGTH)
      assert.match(token, /^[\w-]+$/)
      const expected = { ...cell, state: 'value', token, payload, expiresAt, successor: '' }
      assert.deepEqual({ ...cell }, expected)
      assert.ok(cell.writtenAt >= before - 1000 && cell.writtenAt <= backend.now() + 1000)
    },
    'changes the token at every change of the cell': async (stand) => {
      const backend = await stand.backend()
      const tokens: string[] = []
      for (let i = 0; i < 20; i++) {
        tokens.push(await put(backend, 'k', 'same'))
        tokens.push((await backend.invalidate('k', { within: LONG })).token)
        assert.equal((await backend.read('k')).token, tokens.at(-1))
      }
      assert.equal(new Set(tokens).size, tokens.length)
    },
    'expecting nothing: writes an absent cell and no other': async (stand) => {
      const backend = await stand.backend()
      const first = await putIf(backend, 'k', '1', '')
      assert.equal(first.written, true)
      assert.deepEqual({ ...(await putIf(backend, 'k', '2', '')) }, { written: false, token: '' })
      assert.equal((await expectValue(backend, 'k', '1')).token, first.token)

      const { token } = await backend.invalidate('k', { within: LONG })
      assert.equal((await putIf(backend, 'k', '3', '')).written, false)
      assert.equal((await backend.read('k')).token, token)

      await put(backend, 'past', '4', backend.now() + 30)
      await readUntil(backend, 'past', (cell) => cell.state !== 'value')
      assert.equal((await putIf(backend, 'past', '5', '')).written, false)
    },
    'expecting a token: writes the cell that has it and no other': async (stand) => {
      const backend = await stand.backend()
      const old = await put(backend, 'k', '1')
      const second = await putIf(backend, 'k', '2', old)
      assert.equal(second.written, true)
      assert.deepEqual({ ...(await putIf(backend, 'k', '3', old)) }, { written: false, token: '' })
      assert.equal((await expectValue(backend, 'k', '2')).token, second.token)
      assert.equal((await putIf(backend, 'never', '4', old)).written, false)
      assert.equal((await backend.read('never')).state, 'absent')
    },
    'expecting anything: writes every state': async (stand) => {
      const backend = await stand.backend()
      await put(backend, 'k', '1')
      await put(backend, 'k', '2')
      await backend.invalidate('k', { within: LONG })
      await put(backend, 'k', '3')
      await expectValue(backend, 'k', '3')
    },
    'a tombstone yields only to its own token': async (stand) => {
      const backend = await stand.backend()
      const old = await put(backend, 'k', '1')
      const { token } = await backend.invalidate('k', { within: LONG })
      assert.equal((await putIf(backend, 'k', '2', old)).written, false)
      const cell = await backend.read('k')
      assert.deepEqual(
        { ...cell },
        { ...ABSENT, ...cell, state: 'tombstone', token, payload: '', successor: '' },
      )
      assert.ok(Math.abs(cell.writtenAt - backend.now()) < 60_000)
      assert.equal((await putIf(backend, 'k', '2', token)).written, true)
      await expectValue(backend, 'k', '2')
    },
    'invalidate says whether a live value was there': async (stand) => {
      const backend = await stand.backend()
      const absent = await backend.invalidate('k', { within: LONG })
      assert.equal(absent.done, true)
      assert.equal(absent.existed, false)
      assert.equal((await backend.read('k')).token, absent.token)
      assert.equal((await backend.invalidate('k', { within: LONG })).existed, false)
      await put(backend, 'k', '')
      assert.equal((await backend.invalidate('k', { within: LONG })).existed, true)
      await put(backend, 'past', '1', backend.now() + 30)
      await readUntil(backend, 'past', (cell) => cell.state !== 'value')
      assert.equal((await backend.invalidate('past', { within: LONG })).existed, false)
    },
    'a tombstone keeps its successor until the cell changes': async (stand) => {
      const backend = await stand.backend()
      await backend.invalidate('k', { within: LONG, successor: 'abcdefghijkl' })
      assert.equal((await backend.read('k')).successor, 'abcdefghijkl')
      await backend.invalidate('k', { within: LONG })
      assert.equal((await backend.read('k')).successor, '')
      await backend.invalidate('k', { within: LONG, successor: 'abcdefghijkl' })
      await put(backend, 'k', '1')
      assert.equal((await backend.read('k')).successor, '')
    },
    'closes twice': async (stand) => {
      const backend = await stand.backend()
      await put(backend, 'k', '1')
      await backend.close()
      await backend.close()
    },
  }
}
