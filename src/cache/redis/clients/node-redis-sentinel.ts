import { optionsOf, refuse } from './node-redis.ts'
import { WatchedNode } from './watched-node.ts'

/** A client of node-redis 5 or 6 for what a Sentinel watches: what `createSentinel()` makes. */
export interface NodeRedisSentinel {
  readonly isOpen: boolean
  readonly isReady: boolean
  sendCommand(isReadonly: boolean | undefined, args: string[], options?: never): Promise<unknown>
  acquire(): Promise<unknown>
}

const AS_STRINGS = { typeMapping: {} } as never

/** It has several connections, and does not tell when it makes another one. */
export function sentinelNode(sentinel: NodeRedisSentinel): WatchedNode {
  return new WatchedNode(
    (args) => sentinel.sendCommand(false, args as string[], AS_STRINGS).catch(refuse),
    optionsOf(sentinel),
    () => sentinel.isReady,
  )
}
