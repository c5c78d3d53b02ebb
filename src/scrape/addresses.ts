import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** The addresses of a host name. */
export type Resolve = (hostname: string) => Promise<readonly string[]>

/** A process behind a URL: the only one, or that at one of the addresses of the URL's name. */
export interface Place {
  /** `host:port`. */
  readonly name: string
  /** Undefined: whatever the URL's name resolves to. */
  readonly address?: string
}

/**
 * The processes behind a URL: a name that has several addresses (a headless service) stands for a
 * process at each of them. A name that cannot be resolved is one place, which fails when it is asked.
 */
export async function placesOf(url: URL, resolve: Resolve = addressesOf): Promise<Place[]> {
  const { hostname, host } = url
  // localhost has an address of each family, and one process behind them.
  if (hostname === 'localhost' || isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0) {
    return [{ name: host }]
  }
  const addresses = await resolve(hostname).catch((): readonly string[] => [])
  if (addresses.length <= 1) return [{ name: host }]
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  return addresses.map((address) => ({
    name: `${address.includes(':') ? `[${address}]` : address}:${port}`,
    address,
  }))
}

/** A resolver that hangs must not hang a rollback, in ms. */
const RESOLVE_MS = 1500

/** A process has an address of each family: only one family is counted. */
export async function addressesOf(hostname: string): Promise<string[]> {
  const asked = lookup(hostname, { all: true })
  // A failure after the time was up goes unhandled on purpose.
  asked.catch(() => {})
  const all = await Promise.race([asked, sleep(RESOLVE_MS, [], { ref: false })])
  const four = all.filter(({ family }) => family === 4)
  return (four.length > 0 ? four : all).map(({ address }) => address)
}
