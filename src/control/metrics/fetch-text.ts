import { type Agent, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { SwitchbackError } from '../../errors.ts'

export interface FetchTextOptions {
  readonly url: URL
  readonly agent?: Agent
  /** From the request to the last byte, in milliseconds. */
  readonly timeoutMs: number
  /** More than this is not read. */
  readonly maxBytes: number
  readonly signal: AbortSignal
}

/**
 * GETs a text within a deadline and a size, whatever the other end does. Redirects are not followed.
 *
 * @throws {SwitchbackError} `SB_METRICS_UNREACHABLE`, `SB_METRICS_TOO_LARGE`, `SB_METRICS_STATUS`.
 */
export function fetchText(options: FetchTextOptions): Promise<string> {
  const { url, agent, timeoutMs, maxBytes, signal } = options
  return new Promise((resolve, reject) => {
    const fail = (code: string, message: string, cause?: unknown): void => {
      reject(new SwitchbackError(code, message, { cause }))
      request.destroy()
    }
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(
      url,
      {
        ...(agent === undefined ? {} : { agent }),
        headers: { accept: 'text/plain;version=0.0.4' },
        signal,
      },
      (response) => {
        if (response.statusCode !== 200) {
          fail('SB_METRICS_STATUS', `answers ${response.statusCode ?? 0} instead of 200`)
          return
        }
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size <= maxBytes) chunks.push(chunk)
          else fail('SB_METRICS_TOO_LARGE', `answers more than ${mebibytes(maxBytes)} MiB`)
        })
        response.once('error', (error) => fail('SB_METRICS_UNREACHABLE', reasonOf(error), error))
        response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
      },
    )
    const timer = setTimeout(
      () => fail('SB_METRICS_UNREACHABLE', `does not answer within ${timeoutMs / 1000} s`),
      timeoutMs,
    )
    request.once('close', () => clearTimeout(timer))
    request.once('error', (error) => fail('SB_METRICS_UNREACHABLE', reasonOf(error), error))
    request.end()
  })
}

function mebibytes(bytes: number): string {
  return String(Math.round((bytes / 1_048_576) * 10) / 10)
}

function reasonOf(error: Error): string {
  return 'code' in error ? `cannot be reached (${String(error.code)})` : error.message
}
