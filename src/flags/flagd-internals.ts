import type { Readable } from 'node:stream'
import type { FlagdProvider } from '@openfeature/flagd-provider'

// What flagd's provider does not offer and Switchback cannot do without. Each function leaves the
// provider as it is when it does not find what it knows; a test tells when that happens.

/**
 * Stops the provider's attempts to reconnect. Its own `onClose` does not: a provider that is closed
 * while it reconnects tries again at once, for ever, with a process that cannot end.
 */
export function stopReconnecting(provider: FlagdProvider): boolean {
  const stream = streamOwner(provider)
  if (stream === undefined) return false
  let found = true
  for (const name of ['listen', 'reconnect', 'handleError']) {
    if (typeof stream[name] === 'function') stream[name] = () => {}
    else found = false
  }
  return found
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

type Fields = Record<string, unknown>

function streamOwner(provider: FlagdProvider): Fields | undefined {
  const service = fieldOf(provider, '_service')
  return fieldOf(service, '_dataFetcher') ?? service
}

function fieldOf(owner: object | undefined, name: string): Fields | undefined {
  const value: unknown = owner === undefined ? undefined : Reflect.get(owner, name)
  return typeof value === 'object' && value !== null ? (value as Fields) : undefined
}
