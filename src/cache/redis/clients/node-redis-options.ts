import {
  CONNECT_REMEDY_MS,
  type ClientFinding,
  LONGEST_CONNECT_TIMEOUT_MS,
  LONGEST_RETRY_DELAY_MS,
} from '../connection/check-client.ts'

/** The options of `createClient` that matter. */
interface NodeOptions {
  readonly disableOfflineQueue?: boolean
  readonly readonly?: boolean
  readonly username?: string
  readonly keyPrefix?: string
  readonly socket?: SocketOptions
}

interface SocketOptions {
  readonly reconnectStrategy?: unknown
  readonly connectTimeout?: number
  readonly socketTimeout?: number
}

interface ClusterOptions {
  readonly keyPrefix?: string
  readonly defaults?: NodeOptions
}

const RETRIES = '(n) => Math.min(n * 50, 500)'

export function findingsOfNode(options: NodeOptions): readonly ClientFinding[] {
  return [...ofNode(options, '')]
}

export function findingsOfCluster({ defaults = {} }: ClusterOptions): readonly ClientFinding[] {
  return [...ofNode(defaults, 'defaults.')]
}

function* ofNode(options: NodeOptions, at: string): Generator<ClientFinding> {
  const { socket = {} } = options
  if (options.disableOfflineQueue !== true) {
    yield ['commands pile up while disconnected', `\`${at}disableOfflineQueue: true\``]
  }
  const hangs = !(Number(socket.socketTimeout) > 0)
  // More than the second after which an idle connection is used again.
  if (hangs) yield ['commands pile up while Redis hangs', `\`${at}socket.socketTimeout: 2500\``]
  if (!(Number(socket.connectTimeout ?? 5000) <= LONGEST_CONNECT_TIMEOUT_MS)) {
    yield [
      'a lost packet can stop a reconnect for seconds',
      `\`${at}socket.connectTimeout: ${CONNECT_REMEDY_MS}\``,
    ]
  }
  const gone = reconnects(socket.reconnectStrategy, !hangs)
  if (gone !== undefined) yield [gone, `\`${at}socket.reconnectStrategy: ${RETRIES}\``]
  if (options.readonly === true && at === '') {
    yield ['`readonly: true` reads stale values and cannot write', '`readonly: false`']
  }
}

/** What is wrong with a strategy. By default node-redis reconnects, but not after a silence. */
function reconnects(strategy: unknown, afterSilence: boolean): string | undefined {
  if (strategy === undefined || strategy === null) {
    return afterSilence ? 'it gives up reconnecting after a hang' : undefined
  }
  let delay = strategy
  if (typeof strategy === 'function') {
    try {
      delay = strategy(20, new Error('Socket closed unexpectedly'))
    } catch {
      // Then node-redis takes its own.
      return undefined
    }
  }
  if (typeof delay !== 'number') return 'it gives up reconnecting'
  if (delay <= LONGEST_RETRY_DELAY_MS) return undefined
  return `it waits up to ${Math.round(delay)} ms before it reconnects`
}
