import { AsyncLocalStorageTransactionContextPropagator, OpenFeature } from '@openfeature/server-sdk'
import type {
  Client,
  EvaluationContext,
  Provider,
  ResolutionDetails,
  TransactionContextPropagator,
} from '@openfeature/server-sdk'
import { SupervisedProvider } from '../flagd/supervised-provider.ts'
import { FileProvider, flagsOf } from '../source/file-provider.ts'
import { providerOf } from '../source/provider-facts.ts'

// As they were when this was loaded: what an application puts in their place is to be asked.
const { getBooleanDetails } = Object.getPrototypeOf(OpenFeature.getClient()) as Client
const { resolveBooleanEvaluation: ofFile } = FileProvider.prototype
const { resolveBooleanEvaluation: ofFlagd } = SupervisedProvider.prototype

/**
 * Asks a provider of ours without OpenFeature's client in between, whose hooks and promises cost several times what
 * an evaluation does. Only where that cannot be told apart: nobody has hooked in, and nothing is added to the context.
 * `undefined`: ask the client.
 */
export function resolveHere(
  client: Client,
  flag: string,
  context: EvaluationContext,
): ResolutionDetails<boolean> | undefined {
  if (OpenFeature.getHooks().length > 0 || client.getHooks().length > 0) return undefined
  if (!isEmpty(OpenFeature.getContext()) || !isEmpty(client.getContext())) return undefined
  if (client.getBooleanDetails !== getBooleanDetails || mayAddContext()) return undefined
  const { providerStatus } = client
  if (providerStatus === 'NOT_READY' || providerStatus === 'FATAL') return undefined
  const provider = providerOf(client)
  // Of another class it may answer in another way.
  const { constructor, resolveBooleanEvaluation } = provider
  try {
    if (constructor === FileProvider && resolveBooleanEvaluation === ofFile) {
      const { hooks = [] } = provider as Provider
      if (hooks.length > 0) return undefined
      return flagsOf(provider as FileProvider).resolve('boolean', flag, false, context)
    }
    if (constructor === SupervisedProvider && resolveBooleanEvaluation === ofFlagd) {
      return (provider as SupervisedProvider).resolveHere(flag, context)
    }
    return undefined
  } catch {
    // Without flags, or for a context that cannot be read: the client says it in its own words.
    return undefined
  }
}

/** That of the SDK gives nothing outside a transaction; one of the application may, today or tomorrow. */
function mayAddContext(): boolean {
  const { _transactionContextPropagator: propagator } = OpenFeature as unknown as {
    readonly _transactionContextPropagator?: TransactionContextPropagator
  }
  return propagator?.constructor !== AsyncLocalStorageTransactionContextPropagator
}

function isEmpty(context: object): boolean {
  for (const _ in context) return false
  return true
}
