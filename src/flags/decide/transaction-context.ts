import { AsyncLocalStorageTransactionContextPropagator, OpenFeature } from '@openfeature/server-sdk'
import type { EvaluationContext } from '@openfeature/server-sdk'
import { targetingKeyIn } from './decision-context.ts'
import type { DecisionContext } from './decision.ts'

const PROBE = 'switchback-transaction-context-probe'

/**
 * Lets OpenFeature carry the user through `await`, so that business code need not pass it on. A
 * working propagator that is set already stays. Idempotent.
 */
export function setUpTransactionContext(): void {
  let carried = false
  OpenFeature.setTransactionContext({ targetingKey: PROBE }, () => {
    carried = OpenFeature.getTransactionContext().targetingKey === PROBE
  })
  if (carried) return
  OpenFeature.setTransactionContextPropagator(new AsyncLocalStorageTransactionContextPropagator())
}

/**
 * Runs `work` for this user: every decision in it, however deep and however many `await`s later, is
 * made for that user unless a context is passed explicitly.
 *
 * @returns what `work` returns
 * @example
 * app.addHook('onRequest', (request, reply, done) => runAs(request.user.id, done))
 */
export function runAs<T>(user: string | DecisionContext, work: () => T): T {
  setUpTransactionContext()
  const given = typeof user === 'object' ? user : { targetingKey: user }
  const targetingKey = targetingKeyIn(given)
  const context = targetingKey === undefined ? { ...given } : { ...given, targetingKey }
  let result: { readonly value: T } | undefined
  // Frozen, so that its memory key can be kept with it.
  OpenFeature.setTransactionContext(Object.freeze(context) as EvaluationContext, () => {
    result = { value: work() }
  })
  // Only a custom propagator could fail to call back at once.
  return (result as { readonly value: T }).value
}

/** The transaction's context; empty outside a transaction. */
export function transactionContext(): DecisionContext {
  return OpenFeature.getTransactionContext() as DecisionContext
}

/**
 * Runs `ask` outside any transaction, because the SDK would mix its attributes into the context.
 */
export function outsideTransaction(ask: () => void): void {
  OpenFeature.setTransactionContext({}, ask)
}
