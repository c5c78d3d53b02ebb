import { connect } from 'node:net'
import { expect } from 'vitest'

export interface RawAnswer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

let connections = 1

/**
 * Bytes as they are; all that came back. When nothing came for `quietMs` they are ended, upon which the
 * other side must end, too.
 */
export function exchange(
  port: number,
  bytes: Uint8Array | readonly Uint8Array[],
  quietMs = 20,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = []
    // Each from an address of its own: no limit by address hides what lies behind it.
    const localAddress = `127.1.${(connections >> 8) & 0xff}.${connections++ & 0xff}`
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    const quiet = setTimeout(() => socket.end(), quietMs)
    const hung = setTimeout(() => {
      reject(new Error(`no end in 10 s, after ${Buffer.concat(received).toString('latin1')}`))
      socket.destroy()
    }, 10_000)
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk)
      quiet.refresh()
    })
    // A server that has said no need not listen to the rest.
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(quiet)
      clearTimeout(hung)
      resolve(Buffer.concat(received))
    })
    for (const chunk of bytes instanceof Uint8Array ? [bytes] : bytes) socket.write(chunk)
  })
}

/** One request and its whole answer. */
export async function askRaw(port: number, bytes: Buffer): Promise<RawAnswer> {
  const answers = answersIn(await exchange(port, bytes, 9_000))
  expect(answers).toHaveLength(1)
  return answers[0] as RawAnswer
}

/** The answers that stand in what came back of one connection. */
export function answersIn(received: Buffer): RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = received.toString('latin1')
  while (rest !== '') {
    const head = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n/.exec(rest)
    expect(head, `no answer of HTTP: ${JSON.stringify(rest.slice(0, 200))}`).not.toBeNull()
    const [whole, status = '', lines = ''] = head as RegExpExecArray
    const headers = new Map(
      lines
        .split('\r\n')
        .filter((line) => line !== '')
        .map((line) => [
          line.slice(0, line.indexOf(':')).toLowerCase(),
          line.slice(line.indexOf(':') + 1).trim(),
        ]),
    )
    rest = rest.slice(whole.length)
    let body = ''
    // The answer to HEAD announces a body that does not come.
    if (!rest.startsWith('HTTP/1.1 ')) {
      const length = headers.get('content-length')
      body = length === undefined ? rest : rest.slice(0, Number(length))
      rest = rest.slice(body.length)
    }
    answers.push({ status: Number(status), headers, body })
  }
  return answers
}

/** Bad input is answered with 4xx and a problem document (RFC 9457), and nothing with 5xx. */
export function expectProblems(answers: readonly RawAnswer[]): void {
  for (const { status, headers, body } of answers) {
    expect(status).toBeLessThan(500)
    if (status < 400) continue
    expect(headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    // Of an answer to HEAD, and of one that was cut off, there is no body.
    if (body.length !== Number(headers.get('content-length'))) continue
    const problem = JSON.parse(body) as Record<string, unknown>
    expect(problem).toMatchObject({ type: 'about:blank', status })
    expect(String(problem['detail']).length).toBeLessThan(1000)
    // A browser takes it for no page, and the insides stay inside.
    expect(body).not.toMatch(/node_modules|at \S+ \(|src\/|dist\//)
  }
}

/** A request as bytes. */
export function requestBytes(
  line: string,
  headers: readonly string[] = [],
  body: string | undefined = undefined,
): Buffer {
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  return Buffer.from(
    [`${line} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, ...length, '', body ?? ''].join('\r\n'),
  )
}

/** After its answer the connection ends. */
export const LAST = 'Connection: close'
export const JSON_TYPE = 'Content-Type: application/json'

/** Words of HTTP, and of those who want something with it that it was not made for. */
export const HTTP_WORDS: readonly (string | Buffer)[] = [
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/0.9',
  'GET ',
  'HEAD ',
  'POST ',
  'PUT ',
  'DELETE ',
  'OPTIONS *',
  'CONNECT 127.0.0.1:1',
  'TRACE ',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Transfer-Encoding:\tchunked\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 18446744073709551616\r\n',
  'Content-Length: -1\r\n',
  'Expect: 100-continue\r\n',
  'Expect: the-unexpected\r\n',
  'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
  'Upgrade: websocket\r\nConnection: Upgrade\r\n',
  'Connection: close\r\n',
  'Content-Encoding: gzip\r\n',
  'Content-Type: application/json; charset=utf-16\r\n',
  'Content-Type: text/plain\r\n',
  'Content-Type: application/json;;;"\r\n',
  'Content-Type: multipart/form-data\r\n',
  'Host: evil.example\r\n',
  'Host:\r\n',
  'Range: bytes=0-0,-1\r\n',
  'Accept: text/html\r\n',
  '\r\n\r\n',
  '\r\n ',
  '0\r\n\r\n',
  'ffffffffffffffff\r\n',
  '-1\r\n',
  '1;a="\r\n',
  '/../../',
  '/%2e%2e/',
  '%00',
  '%ff',
  '%u0000',
  '%c0%af',
  '//',
  '\\',
  '?',
  '#',
  ';a=b',
  'http://evil.example/',
  '<script>alert(1)</script>',
  '%3Cscript%3E',
  '__proto__',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  Buffer.from('c3a9', 'hex'),
]
