import assert from 'node:assert/strict'
import { ANY, type CacheBackend, type MaybePromise } from '../backend.ts'
import { NEVER } from '../cell.ts'
import { type Cases, type ConformanceOptions, LONG } from './stand.ts'

type Call = (backend: CacheBackend) => MaybePromise<unknown>

const CALLS: Readonly<Record<string, Call>> = {
  read: (backend) => backend.read('k'),
  write: (backend) =>
    backend.write('k', { payload: '1', expiresAt: NEVER }, { expect: ANY, within: LONG }),
  invalidate: (backend) => backend.invalidate('k', { within: LONG }),
  clear: (backend) => backend.clear(),
  ping: (backend) => backend.ping(),
}

/**
 * A failure that is swallowed is a write that was acknowledged and lost, or a breaker that never opens; a
 * ping that cannot fail closes the breaker over a store that is still out.
 */
export function failureCases({ outOfReach }: ConformanceOptions): Cases {
  if (outOfReach === 'never') return {}
  const cases = Object.entries(CALLS).map(([name, call]) => [
    `without its store, ${name} fails`,
    async (stand: { outOfReach(): Promise<CacheBackend> }): Promise<void> => {
      const backend = await stand.outOfReach()
      let answer: unknown
      try {
        answer = await call(backend)
      } catch {
        return
      }
      assert.fail(`${name} answered ${JSON.stringify(answer)} without its store`)
    },
  ])
  return Object.fromEntries(cases) as Cases
}
