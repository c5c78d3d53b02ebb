import { OpenFeature } from '@openfeature/server-sdk'
import type { Client } from '@openfeature/server-sdk'

export interface ClientChoice {
  /** The OpenFeature client to ask. @default the client of {@link domain} */
  readonly client?: Client
  /** The OpenFeature domain, when no client is given. @default the default provider's */
  readonly domain?: string
}

export function clientOf({ client, domain }: ClientChoice): Client {
  if (client !== undefined) return client
  return domain === undefined ? OpenFeature.getClient() : OpenFeature.getClient(domain)
}
