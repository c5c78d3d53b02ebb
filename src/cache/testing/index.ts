/**
 * The conformance suite: what Switchback relies on, as named cases that any test runner can run
 * against a backend of your own.
 *
 * ```ts
 * const cases = backendConformance(
 *   ({ namespace, tombstoneTtl }) => myBackend({ url, prefix: namespace, tombstoneTtl }),
 *   { outOfReach: () => myBackend({ url: 'my://127.0.0.1:1' }) },
 * )
 * for (const { name, run } of cases) test(name, run)
 * ```
 */
import { cellCases } from './cell-cases.ts'
import { failureCases } from './failure-cases.ts'
import { ledgerCases } from './ledger-cases.ts'
import { raceCases } from './race-cases.ts'
import {
  type ConformanceCase,
  type ConformanceOptions,
  type MakeBackend,
  CaseBackends,
} from './stand.ts'
import { textCases } from './text-cases.ts'
import { timeCases } from './time-cases.ts'

export type {
  ConformanceCase,
  ConformanceOptions,
  MakeBackend,
  MakeBackendOptions,
} from './stand.ts'

/**
 * The cases that a `CacheBackend` must pass. Each makes its own backends, in namespaces of its own,
 * and closes them; they may run in parallel. The slowest takes about a second on a local store.
 *
 * @param makeBackend called once or more by every case
 * @param options what the store cannot do, by its nature
 */
export function backendConformance(
  makeBackend: MakeBackend,
  options: ConformanceOptions = {},
): readonly ConformanceCase[] {
  const cases = Object.entries({
    ...cellCases(),
    ...timeCases(options),
    ...textCases(options),
    ...raceCases(),
    ...failureCases(options),
    ...(options.ledger === true ? ledgerCases() : {}),
  })
  return cases.map(([name, check]) => ({
    name,
    async run() {
      const stand = new CaseBackends(makeBackend, options)
      try {
        await check(stand)
      } catch (error) {
        throw stand.failureOf(name, error)
      } finally {
        await stand.close()
      }
    },
  }))
}
