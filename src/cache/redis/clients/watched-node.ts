import { EventEmitter } from 'node:events'
import type { RedisNode } from '../connection/client.ts'
import { evaluate, script, type Script } from '../scripts.ts'
import { RawNode, type Send } from './raw-node.ts'

// KEYS: cells
const READ: Script = script(`
local info = redis.pcall('INFO', 'server')
local id = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
return { id, redis.call('MGET', unpack(KEYS)) }
`)

/**
 * Over a client that does not tell when it has made another connection. Each reading therefore says which
 * server it is from, and where that is not the one of before, `close` is told before the answer is: what
 * a server answers counts only after it was asked for its era.
 *
 * A write needs no such proof. A server that was not asked yet refuses it or does it in an era that ends
 * when it is asked.
 */
export class WatchedNode extends RawNode implements RedisNode {
  readonly #events = new EventEmitter({ captureRejections: false }).setMaxListeners(0)
  readonly #ready: () => boolean
  /** Its `run_id`; `''` before the first reading, and where the server hides it: then none counts. */
  #server = ''

  constructor(send: Send, options: object, ready: () => boolean) {
    super(send, options)
    this.#ready = ready
  }

  get status(): string {
    return this.#ready() ? 'ready' : 'end'
  }

  override async get(key: string): Promise<string | null> {
    return (await this.mget([key]))[0] ?? null
  }

  override async mget(keys: readonly string[]): Promise<(string | null)[]> {
    const reply = await evaluate(this, READ, keys, [])
    const [server, texts] = reply as [string, (string | null)[]]
    if (server === '' || server !== this.#server) {
      this.#server = server
      this.tell('close')
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

  tell(event: 'close' | 'ready'): void {
    this.#events.emit(event)
  }
}
