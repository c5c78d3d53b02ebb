import { EventEmitter } from 'node:events'
import { SwitchbackError } from '../../../errors.ts'
import type { RedisNode } from '../connection/redis-client.ts'
import { evaluate, script, type Script } from '../scripts.ts'
import { RawNode, type Send } from './raw-node.ts'

// KEYS: cells, or none. Nothing but `INFO` tells it inside of a script.
const READ: Script = script(`
local info = redis.pcall('INFO', 'server')
local id = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
return { id, KEYS[1] and redis.call('MGET', unpack(KEYS)) or {} }
`)

type Reading = readonly [string, (string | null)[]]

/**
 * Over a client that does not tell when it has made another connection. Each reading therefore says which
 * server it is from, and where that is not the one of before, `close` is told before the answer is: what
 * a server answers counts only after it was asked for its era.
 *
 * A write needs no such proof. A server that was not asked yet refuses it or does it in an era that ends
 * when it is asked.
 */
export class WatchedNode extends RawNode implements RedisNode {
  readonly #events = new EventEmitter().setMaxListeners(0)
  readonly #ready: () => boolean
  /** Its `run_id`; `''` before the first reading. */
  #server = ''
  #starting = true

  constructor(send: Send, options: object, ready: () => boolean) {
    super(send, options)
    this.#ready = ready
    void this.#start()
  }

  get status(): string {
    if (!this.#ready()) return 'end'
    return this.#starting ? 'connecting' : 'ready'
  }

  override async get(key: string): Promise<string | null> {
    return (await this.mget([key]))[0] ?? null
  }

  override async mget(keys: readonly string[]): Promise<(string | null)[]> {
    const [server, texts] = (await evaluate(this, READ, keys, [])) as Reading
    if (server === '') throw anonymous()
    if (server !== this.#server) {
      this.#server = server
      this.#events.emit('close')
    }
    return texts
  }

  /** The client keeps its connections itself. */
  disconnect(): void {}

  on(event: string, listener: (error: Error) => void): unknown {
    return this.#events.on(event, listener)
  }

  off(event: string, listener: (error: Error) => void): unknown {
    return this.#events.off(event, listener)
  }

  /** The first server is known before it is asked, so that asking it is not cut short by the first reading. */
  async #start(): Promise<void> {
    try {
      const [server] = (await evaluate(this, READ, [], [])) as Reading
      this.#server = server
    } catch {
      // What fails here, the next operation meets.
    }
    this.#starting = false
    this.#events.emit(this.#ready() ? 'ready' : 'close')
  }
}

function anonymous(): SwitchbackError {
  return new SwitchbackError(
    'SB_REDIS_RIGHTS',
    'Redis does not tell its run_id, and without it a restart would not be noticed through this client: nothing of it is used.',
    {
      hint: 'Allow the ACL user the command: +info. Clients of ioredis and createClient() of node-redis do without.',
    },
  )
}
