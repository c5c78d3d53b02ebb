import { OpenFeature } from '@openfeature/server-sdk'
import type { Client, Provider } from '@openfeature/server-sdk'
import { FileProvider } from './file-provider.ts'

/** Where the flags come from: flagd in one of its modes, a file, or another provider. */
export type FlagsMode = 'rpc' | 'in-process' | 'file' | 'provider'

/** What is known of a provider beyond what OpenFeature reports. Set at set-up, read by deciders. */
interface Facts {
  readonly mode: FlagsMode
  /**
   * Why it was not ready at the start, since the SDK reports its status only. `''`: it was ready.
   */
  problem: string
}

const facts = new WeakMap<Provider, Facts>()

export function noteMode(provider: Provider, mode: FlagsMode): void {
  facts.set(provider, { mode, problem: '' })
}

export function noteProblem(provider: Provider, problem: string): void {
  const known = facts.get(provider)
  if (known !== undefined) known.problem = problem
}

export function modeOf(provider: Provider): FlagsMode {
  if (provider instanceof FileProvider) return 'file'
  return facts.get(provider)?.mode ?? 'provider'
}

export function problemOf(provider: Provider): string {
  return facts.get(provider)?.problem ?? ''
}

/** The provider that a client currently uses; it may be replaced at any time. */
export function providerOf(client: Client): Provider {
  const { domain } = client.metadata
  return domain === undefined ? OpenFeature.getProvider() : OpenFeature.getProvider(domain)
}

/**
 * How long decisions are remembered, in milliseconds. In-process and file evaluations cost some 20
 * us; an rpc evaluation costs 0.8 ms and a round trip. flagd announces every change on its event
 * stream, so the bound matters only for a stream that was cut silently.
 */
export function suitableRememberMs(client: Client): number {
  return modeOf(providerOf(client)) === 'rpc' ? 10_000 : 1_000
}
