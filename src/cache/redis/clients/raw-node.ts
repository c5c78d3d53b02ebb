import type { RedisNode } from '../connection/redis-client.ts'

/** Sends one command as it stands, and has its reply in strings, numbers, `null` and lists of these. */
export type Send = (args: readonly string[]) => Promise<unknown>

/** The commands that Switchback uses, over a client that takes any command. */
export abstract class RawNode implements Omit<RedisNode, 'status' | 'disconnect' | 'on' | 'off'> {
  /** As ioredis names them: what is read of them is `keyPrefix`, `username`, `host` and `port`. */
  readonly options: object
  protected readonly send: Send
  readonly #keyPrefix: string

  constructor(send: Send, options: object) {
    this.send = send
    this.options = options
    this.#keyPrefix = (options as { readonly keyPrefix?: string }).keyPrefix ?? ''
  }

  get(key: string): Promise<string | null> {
    return this.send(['GET', this.#keyPrefix + key]) as Promise<string | null>
  }

  mget(keys: readonly string[]): Promise<(string | null)[]> {
    return this.send(['MGET', ...this.prefixed(keys)]) as Promise<(string | null)[]>
  }

  evalsha(sha: string, numKeys: number, ...args: string[]): Promise<unknown> {
    return this.send(['EVALSHA', sha, String(numKeys), ...this.#prefixedFirst(numKeys, args)])
  }

  eval(script: string, numKeys: number, ...args: string[]): Promise<unknown> {
    return this.send(['EVAL', script, String(numKeys), ...this.#prefixedFirst(numKeys, args)])
  }

  ping(): Promise<unknown> {
    return this.send(['PING'])
  }

  /** Unlike ioredis, these clients refuse a connection whose database was refused. */
  select(): Promise<unknown> {
    return Promise.resolve()
  }

  /** As with ioredis, neither the pattern nor the names found are without the client's prefix. */
  scan(
    cursor: string,
    _match: 'MATCH',
    pattern: string,
    _count: 'COUNT',
    count: number,
  ): Promise<[string, string[]]> {
    const args = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(count)]
    return this.send(args) as Promise<[string, string[]]>
  }

  protected prefixed(keys: readonly string[]): readonly string[] {
    return this.#keyPrefix === '' ? keys : keys.map((key) => this.#keyPrefix + key)
  }

  #prefixedFirst(numKeys: number, args: readonly string[]): readonly string[] {
    if (this.#keyPrefix === '') return args
    return args.map((arg, at) => (at < numKeys ? this.#keyPrefix + arg : arg))
  }
}

/** An error with which the server has answered, by the name that ioredis gives it. */
export function replyError(message: string, cause: unknown): Error {
  const error = new Error(message, { cause })
  error.name = 'ReplyError'
  return error
}
