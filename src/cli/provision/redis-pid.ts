import { once } from 'node:events'
import { connect } from 'node:net'

/**
 * The process id of the Redis on a port of this machine; `undefined` when it does not answer in
 * time.
 */
export async function redisPid(port: number, timeoutMs = 1000): Promise<number | undefined> {
  const socket = connect(port, '127.0.0.1')
  const deadline = AbortSignal.timeout(timeoutMs)
  let reply = ''
  try {
    await once(socket, 'connect', { signal: deadline })
    socket.setEncoding('utf8').write('INFO server\r\n')
    for (;;) {
      const [chunk] = (await once(socket, 'data', { signal: deadline })) as [string]
      reply += chunk
      const pid = /process_id:(\d+)\r/.exec(reply)?.[1]
      if (pid !== undefined) return Number(pid)
    }
  } catch {
    return undefined
  } finally {
    socket.destroy()
  }
}
