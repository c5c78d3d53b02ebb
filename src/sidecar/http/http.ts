import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'

export type HttpHandler = (
  request: IncomingMessage,
  response: ServerResponse,
) => Promise<void> | void

const TEXT = { 'content-type': 'text/plain; charset=utf-8' }

/** An HTTP/1 server whose handler cannot end the process, with bounds on slow senders. */
export function httpServer(handle: HttpHandler): Server {
  const server = createServer(
    { headersTimeout: 10_000, requestTimeout: 15_000, maxHeaderSize: 65_536 },
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

/** What was read of a body. */
export interface Body {
  readonly bytes: Buffer
  /** Whether there is more than was read. */
  readonly cut: boolean
}

/** Reads a body up to `limit` bytes; `undefined` when the connection broke. */
export async function readBody(request: IncomingMessage, limit: number): Promise<Body | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      size += (chunk as Buffer).length
      chunks.push(chunk as Buffer)
      if (size > limit) return { bytes: Buffer.concat(chunks).subarray(0, limit), cut: true }
    }
  } catch {
    return undefined
  }
  return { bytes: Buffer.concat(chunks), cut: false }
}

const EXPOSED =
  'Accept, Accept-Encoding, Accept-Post, Connect-Accept-Encoding, Connect-Content-Encoding, ' +
  'Content-Encoding, Grpc-Accept-Encoding, Grpc-Encoding, Grpc-Message, Grpc-Status, Grpc-Status-Details-Bin'

/**
 * Allows requests from any web page, as flagd does by default.
 *
 * @returns whether the request was a preflight, which is answered
 */
export function allowedCrossOrigin(request: IncomingMessage, response: ServerResponse): boolean {
  const { origin, ...headers } = request.headers
  const method = headers['access-control-request-method']
  if (request.method === 'OPTIONS' && method !== undefined) {
    response.setHeader(
      'vary',
      'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
    )
    if (origin !== undefined) {
      const wanted = headers['access-control-request-headers']
      if (wanted !== undefined) response.setHeader('access-control-allow-headers', wanted)
      response.setHeader('access-control-allow-methods', method)
      response.setHeader('access-control-allow-origin', '*')
    }
    response.writeHead(204).end()
    return true
  }
  response.setHeader('vary', 'Origin')
  if (origin !== undefined) {
    response.setHeader('access-control-allow-origin', '*')
    response.setHeader('access-control-expose-headers', EXPOSED)
  }
  return false
}

/** For a request whose body was not read to its end: the rest is not waited for. */
export function closeAfter(response: ServerResponse): void {
  response.setHeader('connection', 'close')
  response.once('finish', () => response.req.socket.destroySoon())
}

/** Answers a request whose body was not read. */
export function refuseRequest(
  response: ServerResponse,
  status: number,
  text: string = '',
  headers: Readonly<Record<string, string>> = {},
): void {
  closeAfter(response)
  send(response, status, text, headers)
}

export function notFound(response: ServerResponse): void {
  refuseRequest(response, 404, '404 page not found\n', {
    ...TEXT,
    'x-content-type-options': 'nosniff',
  })
}

export function badRequest(response: ServerResponse): void {
  refuseRequest(response, 400, '400 Bad Request', TEXT)
}

export const JSON_TYPE: Readonly<Record<string, string>> = { 'content-type': 'application/json' }

export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  send(response, status, JSON.stringify(body), { ...JSON_TYPE, ...headers })
}

export function send(
  response: ServerResponse,
  status: number,
  text: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(text), ...headers }).end(text)
}
