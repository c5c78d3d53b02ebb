import type { Readable } from 'node:stream'
import type { FlagdProvider } from '@openfeature/flagd-provider'

// What flagd's provider does not offer and Switchback cannot do without. Each function leaves the
// provider as it is when it does not find what it knows; a test tells when that happens.

/**
 * Takes reconnecting out of the provider's hands. Its own takes 1 to 60 s, and does not end with
 * `onClose`: a provider that is closed meanwhile tries again at once, for ever, in a process that
 * cannot end.
 */
export function disableReconnect(provider: FlagdProvider): boolean {
  return disable(provider, 'reconnect')
}

/** After this the provider reports no loss: a report starts a timer that `onClose` does not stop. */
export function disableReports(provider: FlagdProvider): boolean {
  return disable(provider, 'handleError')
}

/** The stream that brings changes; the provider does not notice when a server ends it in order. */
export function changeStream(provider: FlagdProvider): Readable | undefined {
  const owner = streamOwner(provider)
  return (owner?.['_syncStream'] ?? owner?.['_eventStream']) as Readable | undefined
}

/**
 * Puts `read` before the in-process evaluator. What `read` throws voids the new configuration; the
 * last one stays.
 */
export function beforeEvaluator(provider: FlagdProvider, read: (text: string) => string): boolean {
  const service = fieldOf(provider, '_service')
  const set = service?.['setFlagConfiguration']
  if (service === undefined || typeof set !== 'function') return false
  service['setFlagConfiguration'] = (text: string): unknown => set.call(service, read(text))
  return true
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
