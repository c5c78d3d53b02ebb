import type {
  Client,
  EvaluationContext,
  EvaluationDetails,
  ResolutionDetails,
} from '@openfeature/server-sdk'
import { resolveHere } from './ask-here.ts'
import { outsideTransaction } from './transaction-context.ts'

/** What came of asking the provider: a value of the type asked for, or why there is none. */
export type Evaluation<T> =
  | { readonly ok: true; readonly value: T; readonly variant: string; readonly reason: string }
  | {
      readonly ok: false
      readonly errorCode: string
      readonly message: string
      /** The service is alive: the flag or the request is wrong. */
      readonly answered: boolean
    }

/** Error codes that only a service that answers can give; the provider must be ready, too. */
const ABOUT_THE_FLAG = new Set([
  'FLAG_NOT_FOUND',
  'TYPE_MISMATCH',
  'PARSE_ERROR',
  'TARGETING_KEY_MISSING',
  'INVALID_CONTEXT',
])

/**
 * At once where the flags are in this process.
 *
 * @param plain the client is of our own making: nobody has wrapped it to see what it is asked
 */
export function evaluateBoolean(
  client: Client,
  flag: string,
  context: EvaluationContext,
  plain: boolean,
): Evaluation<boolean> | Promise<Evaluation<boolean>> {
  const resolved = plain ? resolveHere(client, flag, context) : undefined
  if (resolved !== undefined) return understood(client, 'boolean', resolved)
  return evaluation(client, 'boolean', () => client.getBooleanDetails(flag, false, context))
}

export function evaluateString(
  client: Client,
  flag: string,
  fallback: string,
): Promise<Evaluation<string>> {
  return evaluation(client, 'string', () => client.getStringDetails(flag, fallback, {}))
}

/** Never rejects; may never resolve: a provider has no deadline. */
async function evaluation<T extends boolean | string>(
  client: Client,
  type: 'boolean' | 'string',
  ask: () => Promise<EvaluationDetails<T>>,
): Promise<Evaluation<T>> {
  try {
    const details = await new Promise<EvaluationDetails<T>>((resolve, reject) => {
      outsideTransaction(() => {
        ask().then(resolve, reject)
      })
    })
    return understood(client, type, details)
  } catch (error) {
    const message = textOf(error instanceof Error ? error.message : error, 'the evaluation failed')
    return { ok: false, errorCode: 'GENERAL', message, answered: false }
  }
}

function understood<T extends boolean | string>(
  client: Client,
  type: 'boolean' | 'string',
  details: ResolutionDetails<T>,
): Evaluation<T> {
  const { value, errorCode, variant, reason } = details
  if (errorCode !== undefined) {
    // flagd's provider also reports FLAG_NOT_FOUND when flagd is gone.
    const answered = ABOUT_THE_FLAG.has(errorCode) && client.providerStatus === 'READY'
    const message = textOf(details.errorMessage, '')
    return { ok: false, errorCode: textOf(errorCode, 'GENERAL'), message, answered }
  }
  // The SDK hands on whatever a provider returns.
  if (typeof value !== type) {
    const message = `expected a ${type} flag, got ${typeof value}`
    return { ok: false, errorCode: 'TYPE_MISMATCH', message, answered: true }
  }
  return { ok: true, value, variant: textOf(variant, ''), reason: textOf(reason, 'UNKNOWN') }
}

/** Providers pass on whatever they were given; an object here would break code that prints it. */
function textOf(value: unknown, otherwise: string): string {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : otherwise
}
