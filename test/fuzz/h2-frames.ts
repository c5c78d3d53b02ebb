import { once } from 'node:events'
import { connect } from 'node:http2'
import { type AddressInfo, createServer } from 'node:net'

export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  windowUpdate: 8,
  continuation: 9,
} as const

export const FLAG = { ack: 1, endStream: 1, endHeaders: 4 } as const

/** A frame of HTTP/2 (RFC 9113, section 4.1). */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A gRPC message as it travels in DATA frames. */
export function grpcMessage(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

/** All that Node's own client sends for one gRPC call, as recorded on a socket. */
export async function recordCall(path: string, message: Uint8Array): Promise<Buffer> {
  const chunks: Buffer[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      if (Buffer.concat(chunks).includes(grpcMessage(message))) server.emit('recorded')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  session.on('error', () => {})
  const recorded = once(server, 'recorded')
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': '5S',
  })
  stream.on('error', () => {}).end(grpcMessage(message))
  await recorded
  session.destroy()
  server.close()
  return Buffer.concat(chunks)
}

/** The frames that follow the preface. */
export function framesIn(recorded: Buffer): Buffer[] {
  const frames: Buffer[] = []
  for (let at = PREFACE.length; at + 9 <= recorded.length;) {
    const end = at + 9 + recorded.readUIntBE(at, 3)
    frames.push(recorded.subarray(at, end))
    at = end
  }
  return frames
}

/** The compressed headers of a recorded call. */
export function headerBlockOf(recorded: Buffer): Buffer {
  const headers = framesIn(recorded).find((each) => each[3] === TYPE.headers)
  if (headers === undefined) throw new Error('no headers were recorded')
  // Padding and priority, where the flags announce them, are no part of the block.
  const flags = headers[4] ?? 0
  const skip = 9 + ((flags & 8) === 0 ? 0 : 1) + ((flags & 32) === 0 ? 0 : 5)
  return headers.subarray(skip)
}
