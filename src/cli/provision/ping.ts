import { connect } from 'node:net'

/**
 * Whether a Redis that we may use answers there: `PING` gives `PONG` within `timeoutMs`. One that
 * requires a password, or another kind of server, does not count.
 */
export function answersPing(host: string, port: number, timeoutMs = 500): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    let reply = ''
    // The socket's own timeout restarts with each byte, so it cannot bound a slow server.
    const deadline = setTimeout(() => end(false), timeoutMs)
    const end = (answer: boolean): void => {
      clearTimeout(deadline)
      socket.destroy()
      resolve(answer)
    }
    socket.setEncoding('latin1')
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.on('data', (chunk: string) => {
      reply += chunk
      if (reply.startsWith('+PONG\r\n')) end(true)
      else if (reply.length >= 7) end(false)
    })
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
  })
}
