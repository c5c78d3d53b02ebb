import type { Readable } from 'node:stream'
import type { FlagdProvider } from '@openfeature/flagd-provider'

// Internals of flagd's provider that Switchback needs. Each function leaves the provider unchanged
// when its internals are not as expected; a test reports when that happens.

/**
 * Turns off the provider's own reconnecting, which takes 1 to 60 s and does not end with `onClose`:
 * a provider that is closed meanwhile would retry for ever and keep the process alive.
 */
export function disableReconnect(provider: FlagdProvider): boolean {
  return disable(provider, 'reconnect')
}

/**
 * After this the provider reports no loss: a report starts a timer that `onClose` does not stop.
 */
export function disableReports(provider: FlagdProvider): boolean {
  return disable(provider, 'handleError')
}

/** The stream of changes; the provider does not notice when a server ends it in order. */
export function changeStream(provider: FlagdProvider): Readable | undefined {
  const owner = streamOwner(provider)
  return (owner?.['_syncStream'] ?? owner?.['_eventStream']) as Readable | undefined
}

/**
 * Passes each configuration of the in-process stream to `read` instead of the provider's evaluator.
 * `read` returns the keys of the flags that changed; when it throws, the provider assumes none did.
 */
export function insteadOfEvaluator(
  provider: FlagdProvider,
  read: (text: string) => string[],
): boolean {
  const service = fieldOf(provider, '_service')
  if (typeof service?.['setFlagConfiguration'] !== 'function') return false
  service['setFlagConfiguration'] = read
  return true
}

/** What the provider's one hook adds to each context: what flagd sends with its flags. */
export function enrichmentOf({ hooks = [] }: FlagdProvider): (() => object) | undefined {
  const [hook, ...more] = hooks as readonly { readonly enrichedContext?: () => object }[]
  if (hook === undefined) return () => NOTHING
  const { enrichedContext } = hook
  return more.length > 0 ? undefined : enrichedContext
}

const NOTHING = {}

/**
 * Whether a connection was closed for pings that came too often (GOAWAY with ENHANCE_YOUR_CALM);
 * gRPC keeps only these words of it.
 */
export function isTooManyPings(message: string): boolean {
  return /RESOURCE_EXHAUSTED: Bandwidth exhausted|too_many_pings|ENHANCE_YOUR_CALM/.test(message)
}

function disable(provider: FlagdProvider, method: string): boolean {
  const owner = streamOwner(provider)
  if (owner === undefined || typeof owner[method] !== 'function') return false
  owner[method] = () => {}
  return true
}

type Fields = Record<string, unknown>

function streamOwner(provider: FlagdProvider): Fields | undefined {
  const service = fieldOf(provider, '_service')
  return fieldOf(service, '_dataFetcher') ?? service
}

function fieldOf(owner: object | undefined, name: string): Fields | undefined {
  const value: unknown = owner === undefined ? undefined : Reflect.get(owner, name)
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined
}
