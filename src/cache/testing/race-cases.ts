import assert from 'node:assert/strict'
import type { CacheBackend } from '../backend.ts'
import { type Cases, expectValue, LONG, put, putIf } from './stand.ts'

/** What must hold while several clients work on the same cells. */
export function raceCases(): Cases {
  return {
    'what was acknowledged to one handle, another sees at once': async (stand) => {
      const [a, b] = await stand.pair()
      for (let i = 0; i < 100; i++) {
        await put(a, 'k', `a${i}`)
        await expectValue(b, 'k', `a${i}`)
        await b.invalidate('k', { within: LONG })
        assert.equal((await a.read('k')).state, 'tombstone')
        await put(b, 'k', `b${i}`)
        await expectValue(a, 'k', `b${i}`)
      }
    },
    'of many conditional writes at once, exactly one is written': async (stand) => {
      const [a, b] = await stand.pair()
      for (let round = 0; round < 20; round++) {
        const { token } = await a.read('k')
        const results = await Promise.all(
          Array.from({ length: 20 }, (_, i) => putIf(i % 2 === 0 ? a : b, 'k', `w${i}`, token)),
        )
        const winners = results.flatMap((result, i) => (result.written ? [i] : []))
        assert.equal(winners.length, 1)
        const cell = await expectValue(b, 'k', `w${winners[0]}`)
        assert.equal(cell.token, results[winners[0] ?? -1]?.token)
      }
    },
    'no update is lost when each writer expects the token it read': async (stand) => {
      const [a, b] = await stand.pair()
      await put(a, 'k', '0')
      await Promise.all([count(a), count(b), count(a), count(b)])
      await expectValue(a, 'k', '80')
    },
    'an invalidation wins over any conditional write that started before it': async (stand) => {
      const [a, b] = await stand.pair()
      for (let round = 0; round < 50; round++) {
        const token = await put(a, 'k', 'old')
        const race = [() => putIf(a, 'k', 'new', token), () => b.invalidate('k', { within: LONG })]
        if (round % 2 === 1) race.reverse()
        await Promise.all(race.map((start) => start()))
        assert.equal((await a.read('k')).state, 'tombstone')
        assert.equal((await b.read('k')).state, 'tombstone')
      }
    },
    'clear invalidates every key, in this namespace only': async (stand) => {
      const backend = await stand.backend()
      const other = await stand.backend(LONG, 'b')
      await put(other, 'k0', 'kept')
      const tokens: string[] = []
      for (let i = 0; i < 500; i++) tokens.push(await put(backend, `k${i}`, 'gone'))
      await backend.clear()
      for (const [i, token] of tokens.entries()) {
        assert.notEqual((await backend.read(`k${i}`)).state, 'value')
        // A filler that read the cell before must not bring the value back.
        if (i % 50 === 0)
          assert.equal((await putIf(backend, `k${i}`, 'back', token)).written, false)
      }
      await expectValue(other, 'k0', 'kept')
      const cell = await backend.read('k1')
      assert.equal((await putIf(backend, 'k1', 'again', cell.token)).written, true)
      await expectValue(backend, 'k1', 'again')
    },
    'clear is seen by every handle, and does nothing when already aborted': async (stand) => {
      const [a, b] = await stand.pair()
      await put(a, 'k', '1')
      await expectValue(b, 'k', '1')
      await assert.rejects(async () => a.clear({ signal: AbortSignal.abort(new Error('enough')) }))
      await expectValue(b, 'k', '1')
      await a.clear()
      assert.notEqual((await b.read('k')).state, 'value')
    },
  }
}

async function count(backend: CacheBackend): Promise<void> {
  for (let done = 0; done < 20;) {
    const cell = await backend.read('k')
    const result = await putIf(backend, 'k', String(Number(cell.payload) + 1), cell.token)
    if (result.written) done++
  }
}
