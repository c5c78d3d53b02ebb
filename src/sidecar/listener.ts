import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { SwitchbackError, quote } from '../errors.ts'

export interface ListenerOptions {
  readonly host: string
  /** 0 takes a free port. */
  readonly port: number
  /** Takes over a connection, of which nothing has been read yet. */
  readonly onConnection: (socket: Socket) => void
}

/** A TCP listener that knows its connections, so that closing it has an end. */
export class Listener {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  /** @throws SwitchbackError `SB_SIDECAR_LISTEN` when the port cannot be had */
  static async open({ host, port, onConnection }: ListenerOptions): Promise<Listener> {
    const server = createServer({ noDelay: true, pauseOnConnect: false })
    const listener = new Listener(server)
    server.on('connection', (socket) => {
      listener.#sockets.add(socket)
      socket.on('close', () => listener.#sockets.delete(socket))
      socket.on('error', () => socket.destroy())
      onConnection(socket)
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(
          new SwitchbackError(
            'SB_SIDECAR_LISTEN',
            `Cannot listen on ${quote(`${host}:${port}`)}.`,
            {
              cause,
              hint: 'Is a flagd or another sidecar running? Choose other ports.',
            },
          ),
        ),
      )
      server.listen({ host, port, backlog: 1024 }, resolve)
    })
    return listener
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Takes no more connections, and cuts those that still stand after the deadline in milliseconds. */
  async close(deadline: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy()
    }, deadline)
    await closed
    clearTimeout(timer)
  }
}

const HTTP2_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Tells HTTP/2 from HTTP/1 by a connection's first bytes, as flagd serves both on one port. */
export function splitByProtocol(
  http2: (socket: Socket) => void,
  http1: (socket: Socket) => void,
): (socket: Socket) => void {
  return (socket) => {
    // Whoever connects and says nothing is let go.
    socket.setTimeout(10_000, () => socket.destroy())
    socket.once('data', (chunk: Buffer): void => {
      socket.pause()
      socket.setTimeout(0)
      socket.removeAllListeners('timeout')
      const length = Math.min(chunk.length, HTTP2_PREFACE.length)
      const isHttp2 = chunk.subarray(0, length).equals(HTTP2_PREFACE.subarray(0, length))
      socket.unshift(chunk)
      // An HTTP/2 session takes over the handle and fetches what was unshifted by itself; resuming
      // would throw that away.
      if (isHttp2) return http2(socket)
      http1(socket)
      socket.resume()
    })
  }
}
