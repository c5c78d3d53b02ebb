import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'

/** Of the answers to failed requests (RFC 9457). */
export const PROBLEM_CONTENT_TYPE = 'application/problem+json; charset=utf-8'

/** Requests that no route ever sees: bytes that are not HTTP, or an `Expect` that cannot be met. */
export type OddRequest = 'broken' | 'expectation'

/** The answers of a server where Node would answer without a body. */
export interface OddRequestOptions {
  /** Headers of each answer, including `Content-Type`. */
  readonly headers: Readonly<Record<string, string>>
  /** The problem document. */
  readonly problem: (status: number, odd: OddRequest) => object
}

export type BrokenRequestHandler = (error: Error & { code?: string }, socket: Socket) => void
export type ExpectationHandler = (request: IncomingMessage, response: ServerResponse) => void

const BROKEN: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

/** For the `clientError` of a server. */
export function brokenRequestHandler({
  headers,
  problem,
}: OddRequestOptions): BrokenRequestHandler {
  return (error, socket) => {
    if (socket.destroyed || !socket.writable || error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const status = BROKEN[error.code ?? ''] ?? 400
    const body = JSON.stringify(problem(status, 'broken'))
    socket.end(
      [
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
        'Connection: close',
        ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
        `Content-Length: ${Buffer.byteLength(body)}`,
        '',
        body,
      ].join('\r\n'),
    )
  }
}

/** For the `checkExpectation` of a server. */
export function expectationHandler({ headers, problem }: OddRequestOptions): ExpectationHandler {
  return (_request, response) => {
    const body = JSON.stringify(problem(417, 'expectation'))
    response.writeHead(417, {
      Connection: 'close',
      ...headers,
      'Content-Length': Buffer.byteLength(body),
    })
    response.end(body)
  }
}
