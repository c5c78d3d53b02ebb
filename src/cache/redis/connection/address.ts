import { isCluster, type RedisClient } from './redis-client.ts'

/** As ioredis fills them in. */
interface AddressOptions {
  readonly host?: unknown
  readonly port?: unknown
  readonly path?: unknown
  readonly db?: number | null
  readonly sentinels?: unknown
  readonly Connector?: unknown
}

/**
 * Names the database that a client is connected to: by its address where its options have that, which is so for
 * one server and ioredis, else by the client that was given. Equal names are one database; two names can be one, too.
 *
 * @param given the application's client, or ours
 */
export function databaseName(client: RedisClient, given: object): string {
  const options = client.options as AddressOptions
  const { host, port, path, sentinels, Connector } = options
  const isOneServer = client === given && !isCluster(client) && !sentinels && !Connector
  // Ioredis leaves its default host beside a path.
  const server =
    typeof path === 'string' && path !== '' ? path : `${String(host).toLowerCase()}:${String(port)}`
  if (!isOneServer || (host === undefined && server !== path)) return numberOf(given)
  return `${server}/${selected(client) ?? options.db ?? 0}`
}

/** The database that `select` has changed to since. */
function selected(client: object): number | undefined {
  const { condition } = client as { readonly condition?: { readonly select?: number } | null }
  return condition?.select
}

const numbers = new WeakMap<object, number>()
let last = 0

function numberOf(given: object): string {
  // What node-redis derives from a client has its connection.
  const { _self: proper = given } = given as { readonly _self?: object }
  const number = numbers.get(proper) ?? (last += 1)
  numbers.set(proper, number)
  return `client ${number}`
}
