import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export type Way = 'there' | 'back'

/** A network path that a test can make slow, narrow, silent or broken while it is in use. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number
  /**
   * Bytes in both directions wait; nothing is lost. What is in flight arrives after `resume`, even
   * when its sender has hung up meanwhile.
   * @param way only the bytes to the target, or only those from it. @default both
   */
  stall(way?: Way): void
  resume(): void
  /** Each chunk is passed on this much later, in order. 0 ends it. */
  delay(ms: number): void
  /** At most so many bytes a second in each direction. `Infinity` ends it. */
  limit(bytesPerSecond: number): void
  /** Resets every connection; new ones are accepted. */
  cut(): void
  /** Resets every connection and refuses new ones until `accept`. */
  refuse(): void
  accept(): void
  close(): Promise<void>
}

/** A loopback proxy to a port of this machine. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const proxy = new LoopbackProxy(targetPort)
  await proxy.listen()
  return proxy
}

class LoopbackProxy implements TcpProxy {
  readonly #targetPort: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #pipes = new Set<Pipe>()
  readonly path: Path = {
    stalled: new Set(),
    delayMs: 0,
    bytesPerSecond: Number.POSITIVE_INFINITY,
  }
  #refusing = false

  constructor(targetPort: number) {
    this.#targetPort = targetPort
    this.#server = createServer((client) => this.#connected(client))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  stall(way?: Way): void {
    for (const one of way === undefined ? WAYS : [way]) this.path.stalled.add(one)
  }

  resume(): void {
    this.path.stalled.clear()
    for (const pipe of this.#pipes) pipe.pump()
  }

  delay(ms: number): void {
    this.path.delayMs = ms
  }

  limit(bytesPerSecond: number): void {
    this.path.bytesPerSecond = bytesPerSecond
  }

  cut(): void {
    for (const pipe of this.#pipes) pipe.drop()
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  refuse(): void {
    this.#refusing = true
    this.cut()
  }

  accept(): void {
    this.#refusing = false
  }

  async close(): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #connected(client: Socket): void {
    if (this.#refusing) {
      client.resetAndDestroy()
      return
    }
    const target = connect(this.#targetPort, '127.0.0.1')
    for (const [socket, other, way] of [
      [client, target, 'there'],
      [target, client, 'back'],
    ] as const) {
      socket.setNoDelay(true)
      this.#sockets.add(socket)
      const pipe = new Pipe(socket, other, way, this.path)
      this.#pipes.add(pipe)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        pipe.end()
      })
      other.on('close', () => this.#pipes.delete(pipe))
    }
  }
}

const WAYS: readonly Way[] = ['there', 'back']

interface Path {
  readonly stalled: Set<Way>
  delayMs: number
  bytesPerSecond: number
}

/** One direction of one connection: chunks leave in order, each no sooner than the path allows. */
class Pipe {
  readonly #to: Socket
  readonly #way: Way
  readonly #path: Path
  readonly #queue: { readonly chunk: Buffer; readonly due: number }[] = []
  #timer: NodeJS.Timeout | undefined
  #freeAt = 0
  #ended = false

  constructor(from: Socket, to: Socket, way: Way, path: Path) {
    this.#to = to
    this.#way = way
    this.#path = path
    from.on('data', (chunk: Buffer) => {
      const now = performance.now()
      this.#freeAt = Math.max(this.#freeAt, now) + (chunk.length / this.#path.bytesPerSecond) * 1000
      this.#queue.push({ chunk, due: Math.max(this.#freeAt, now + this.#path.delayMs) })
      this.pump()
    })
  }

  /** The sender has hung up: so does this, once all that was sent has arrived. */
  end(): void {
    this.#ended = true
    this.pump()
  }

  /** What has not arrived never will. */
  drop(): void {
    this.#queue.length = 0
  }

  pump(): void {
    clearTimeout(this.#timer)
    while (this.#queue.length > 0 && !this.#path.stalled.has(this.#way)) {
      const wait = this.#queue[0]!.due - performance.now()
      if (wait > 0) {
        this.#timer = setTimeout(() => this.pump(), wait)
        return
      }
      if (!this.#to.destroyed) this.#to.write(this.#queue[0]!.chunk)
      this.#queue.shift()
    }
    if (this.#ended && this.#queue.length === 0) this.#to.destroySoon()
  }
}
