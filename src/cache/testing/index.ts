/**
 * The conformance suite: what Switchback relies on, as named cases that any test runner can run
 * against a backend of your own.
 *
 * ```ts
 * for (const { name, run } of backendConformance(({ namespace, tombstoneTtl }) =>
 *   myBackend({ prefix: namespace, tombstoneTtl }))) test(name, run)
 * ```
 */
import { cellCases } from './cell-cases.ts'
import { ledgerCases } from './ledger-cases.ts'
import { raceCases } from './race-cases.ts'
import { type ConformanceCase, type ConformanceOptions, type MakeBackend, Stand } from './stand.ts'
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
    ...(options.ledger === true ? ledgerCases() : {}),
  })
  return cases.map(([name, check]) => ({
    name,
    async run() {
      const stand = new Stand(makeBackend, options)
      try {
        await check(stand)
      } finally {
        await stand.close()
      }
    },
  }))
}
