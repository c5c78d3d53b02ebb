import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { SwitchbackError } from '../../../errors.ts'
import { type RedisAddress, urlError } from './url.ts'

const PROBE_MS = 1000

/**
 * Why a server that accepts connections and then says nothing, or hangs up, cannot be used with this URL: one of
 * the two speaks TLS and the other does not. No credentials are sent. `undefined`: that is not the reason.
 */
export async function transportFault({
  host,
  port,
  tls,
}: RedisAddress): Promise<SwitchbackError | undefined> {
  if (tls !== undefined) {
    if (!(await speaksPlainly(host, port))) return undefined
    return urlError(
      `The Redis URL begins with rediss://, but ${host}:${port} does not speak TLS.`,
      'Write redis:// instead, or the port on which it speaks TLS.',
    )
  }
  if (!(await speaksTls(host, port))) return undefined
  return urlError(
    `The Redis URL begins with redis://, but ${host}:${port} speaks TLS.`,
    'Write rediss:// instead.',
  )
}

/** It answers PING, be it with the demand for a password. */
function speaksPlainly(host: string, port: number): Promise<boolean> {
  return probe(connect({ host, port }), (socket, end) => {
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (bytes: Buffer) => end(bytes[0] === PLUS || bytes[0] === MINUS))
  })
}

function speaksTls(host: string, port: number): Promise<boolean> {
  // Only whether it does: nothing is sent over this connection.
  return probe(connectTls({ host, port, rejectUnauthorized: false }), (socket, end) =>
    socket.once('secureConnect', () => end(true)),
  )
}

const PLUS = 0x2b
const MINUS = 0x2d

function probe(
  socket: Socket,
  ask: (socket: Socket, end: (answer: boolean) => void) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const deadline = setTimeout(() => end(false), PROBE_MS).unref()
    const end = (answer: boolean): void => {
      clearTimeout(deadline)
      socket.destroy()
      resolve(answer)
    }
    socket.unref()
    ask(socket, end)
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}
