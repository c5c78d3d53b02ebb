import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'

export type HttpHandler = (
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void> | void

/** An HTTP/1 server whose handler cannot take the process down, with bounds on slow senders. */
export function httpServer(handle: HttpHandler): Server {
  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 15_000, maxHeaderSize: 16_384 },
    (request, response) => void serve(handle, request, response),
  )
  server.timeout = 30_000
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n')
    else socket.destroy()
  })
  return server
}

async function serve(
  handle: HttpHandler,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  response.on('error', () => {})
  try {
    await handle(request, response)
  } catch {
    if (response.headersSent) response.destroy()
    else sendJson(response, 500, { errorDetails: 'internal error' })
  }
}

/** Reads a body of at most `limit` bytes; `undefined` when it is larger or was cut off. */
export async function readBody(
  request: IncomingMessage,
  limit: number,
): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return undefined
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += (chunk as Buffer).length
      if (size > limit) return undefined
      chunks.push(chunk as Buffer)
    }
  } catch {
    return undefined
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Answers a request whose body was not read to its end: what follows of it is not waited for. */
export function refuse(response: ServerResponse, status: number, body: object): void {
  response.once('finish', () => response.req.socket.destroySoon())
  sendJson(response, status, body, { connection: 'close' })
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  const type = { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' }
  send(response, status, JSON.stringify(body), { ...type, ...headers })
}

export function send(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(text), ...headers }).end(text)
}
