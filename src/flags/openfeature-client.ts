import { OpenFeature } from '@openfeature/server-sdk'
import type { Client } from '@openfeature/server-sdk'
import { latestDomain } from './source/source-domain.ts'

export interface ClientChoice {
  /** The OpenFeature client to ask. @default the client of {@link domain} */
  readonly client?: Client
  /**
   * The OpenFeature domain, when no client is given.
   * @default that of the flags source that was set up last; OpenFeature's default provider without one
   */
  readonly domain?: string
}

export function clientOf({ client, domain = latestDomain() }: ClientChoice): Client {
  if (client !== undefined) return client
  return domain === undefined ? OpenFeature.getClient() : OpenFeature.getClient(domain)
}
